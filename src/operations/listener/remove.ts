// `listener.remove`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'listener.remove'> = async (_input, { services: { listener }, commit }) => {
  const closed = listener.state() !== null;
  await listener.close(commit);
  return { closed };
};
