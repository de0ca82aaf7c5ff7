// `audit.verify`: the chain, its seals, and the anchors given and kept in the journal.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'audit.verify'> = async ({ anchor }, { services, signal }) => {
  const started = performance.now();
  const given = anchor.map((text) => ({ sequence: Number(text.slice(0, text.indexOf(':'))), hash: text.slice(text.indexOf(':') + 1) }));
  const verdict = await services.audit.verify([...(await services.anchors()), ...given], signal);
  return { ...verdict, durationMs: Math.round(performance.now() - started) };
};
