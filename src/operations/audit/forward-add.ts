// `audit.forward-add`.
import type { HandlerOf } from '../handler.ts';
import { checkNoToken, identityOf } from '../user/one.ts';

export const handler: HandlerOf<'audit.forward-add'> = ({ collector: name, url, token, ca, onlyNew }, call) => {
  checkNoToken(call);
  const anywhere = identityOf(call).isOwner;
  return call.services.auditForwards.add({ name, url, token: token ?? null, ca: ca ?? null, anywhere, onlyNew }, call.commit);
};
