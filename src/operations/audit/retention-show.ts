// `audit.retention-show`.
import type { HandlerOf } from '../handler.ts';

const dayMs = 24 * 3_600_000;

export const handler: HandlerOf<'audit.retention-show'> = async (_input, { services: { audit } }) => ({
  days: audit.keepMs / dayMs,
  first: audit.base.sequence + 1,
  last: audit.head.sequence,
});
