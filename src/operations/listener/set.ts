// `listener.set`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'listener.set'> = async (asked, { services: { listener, access }, commit }) => {
  const opened = await listener.open(asked, commit);
  // Where nobody can sign in yet, the first administrator is made by a link that only this answer has.
  const canSignIn = access.users.all().some(({ password, passkeys, identities }) => password || passkeys.length + identities.length > 0);
  const first = canSignIn ? null : access.links.make({ kind: 'set-up' });
  return { ...opened, setUpLink: first && `${opened.url}/setup#${first.secret}` };
};
