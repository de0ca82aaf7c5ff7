// `listener.set`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'listener.set'> = async (asked, { services: { listener, access }, commit }) => {
  const opened = await listener.open(asked, commit);
  // Where nobody can sign in yet, the first administrator is made by a link that only this answer has.
  const first = access.users.size === 0 ? access.links.make({ kind: 'set-up' }) : null;
  return { ...opened, setUpLink: first && `${opened.url}/setup#${first.secret}` };
};
