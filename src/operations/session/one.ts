// What the operations on sessions share: what the API shows of one, and beginning one.
import type { SessionRecord, SignInMethod } from '../../access/session/sessions.ts';
import type { UserRecord } from '../../access/user/record.ts';
import type { Session } from '../../contract/session.ts';
import type { Call } from '../handler.ts';
import type { Services } from '../services.ts';

export function viewOf(session: SessionRecord, current: string | null, { access }: Services): Session {
  const { id, userId, method, address, client, createdAt } = session;
  return {
    ...{ id, user: access.users.byId(userId)?.name ?? 'removed', method, address, client, createdAt, current: id === current },
    lastUsedAt: access.sessions.lastUsedAt(session),
    expiresAt: access.sessions.expiresAt(session),
  };
}

/** Begins a session in the transaction that changes the user by the sign-in. */
export async function beginSession(
  user: UserRecord,
  change: Partial<UserRecord>,
  method: SignInMethod,
  into: 'cookie' | 'answer',
  { services, caller, client, commit, setCookie }: Call,
) {
  const { access } = services;
  const { secret, session, writes } = access.sessions.begin(user.id, method, { address: caller.from, client });
  await access.users.update(user.name, () => change, commit, ...writes);
  if (into === 'cookie') setCookie(secret);
  return { ...viewOf(session, session.id, services), secret: into === 'cookie' ? null : secret };
}
