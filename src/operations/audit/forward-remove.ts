// `audit.forward-remove`.
import type { HandlerOf } from '../handler.ts';
import { checkNoToken } from '../user/one.ts';

export const handler: HandlerOf<'audit.forward-remove'> = async ({ collector: name }, call) => {
  checkNoToken(call);
  await call.services.auditForwards.remove(name, call.commit);
  return { name };
};
