// `user.recover`: only from the host's own socket, so that no stolen session can take over an account with it.
import { VivError } from '../../contract/errors.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'user.recover'> = async ({ user: name }, { services: { access, listener }, caller, commit }) => {
  if (caller.via !== 'socket' || caller.user !== null)
    throw new VivError('forbidden', 'recovery links are made by root, or the daemon’s own user, on the host itself');
  const url = listener.state()?.url;
  if (url === undefined)
    throw new VivError('unsupported', 'there is no network listener that a link could lead to; start it: viv up --listen ADDR:PORT');
  const { id } = access.users.get(name);
  access.links.revoke((purpose) => purpose.kind === 'recovery' && purpose.user === id);
  await commit({});
  const { secret, expiresAt } = access.links.make({ kind: 'recovery', user: id });
  // After #, so that no server, proxy or log sees it.
  return { link: `${url}/recover#${secret}`, expiresAt };
};
