// `audit.retention-set`: the change is itself a record of the log.
import type { HandlerOf } from '../handler.ts';
import { checkNoToken } from '../user/one.ts';

const dayMs = 24 * 3_600_000;

export const handler: HandlerOf<'audit.retention-set'> = async ({ days }, call) => {
  checkNoToken(call);
  const { audit } = call.services;
  await audit.setRetention(days * dayMs, call.commit);
  return { days, first: audit.base.sequence + 1, last: audit.head.sequence };
};
