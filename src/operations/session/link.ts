// `session.link`: signs a browser in as the caller, who is known on the host's socket. Its owner gets a user for it, an administrator without a password: a session
// belongs to a user, so that it can be listed, ended and found in the audit log.
import { userInfo } from 'node:os';
import { VivError } from '../../contract/errors.ts';
import { UserName } from '../../contract/user.ts';
import type { Call, HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'session.link'> = async (_input, call) => {
  const { access, listener } = call.services;
  if (call.caller.via !== 'socket')
    throw new VivError('forbidden', 'sign-in links are made on the host itself, over its socket; sign in with a password instead');
  const url = listener.state()?.url;
  if (url === undefined)
    throw new VivError('unsupported', 'there is no network listener that a link could lead to; start it: viv up --listen ADDR:PORT');
  const user = access.userOf(call.caller) ?? (await ownersUser(call));
  if (user.disabled)
    throw new VivError('forbidden', `the user ${user.name} is disabled; enable it: viv user set ${user.name} --no-disabled`);
  await call.commit({});
  access.links.revoke((purpose) => purpose.kind === 'sign-in' && purpose.user === user.id);
  const { secret, expiresAt } = access.links.make({ kind: 'sign-in', user: user.id });
  // After #, so that no server, proxy or log sees it.
  return { link: `${url}/login#${secret}`, user: user.name, expiresAt };
};

/** The user of the local account of the caller, or a new one that is named like it. */
async function ownersUser({ services: { access }, caller, commit }: Call) {
  const uid = Number(/^uid (\d+)$/.exec(caller.from ?? '')?.[1] ?? process.getuid?.() ?? 0);
  const known = access.users.byUid(uid);
  if (known) return known;
  const account = uid === 0 ? 'root' : accountName();
  const names = [account, `${account}-owner`, `owner-${uid}`].filter((name) => UserName.safeParse(name).success);
  const name = names.find((one) => !access.users.byName(one)) ?? `owner-${uid}`;
  const grants = [{ role: 'administrator', scope: { kind: 'host' } as const }];
  return access.users.create({ name, password: null, uid, grants }, commit, Date.now());
}

/** Of the daemon's own account, the only owner besides root; a uid without an account has no name. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return '';
  }
}
