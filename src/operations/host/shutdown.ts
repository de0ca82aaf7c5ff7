// `host.shutdown`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'host.shutdown'> = async (_input, { services }) => {
  services.shutdown(); // begins once the answer is on its way: the server closes last
  return { pid: process.pid };
};
