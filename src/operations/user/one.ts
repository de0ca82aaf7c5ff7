// What the operations on users share.
import type { Identity } from '../../access/identity.ts';
import type { UserRecord } from '../../access/user/record.ts';
import { userView } from '../../access/user/users.ts';
import { VivError } from '../../contract/errors.ts';
import type { User } from '../../contract/user.ts';
import { scopeText } from '../access/scope.ts';
import type { Call } from '../handler.ts';
import type { Services } from '../services.ts';

export const viewOf = (record: UserRecord, services: Services): User => userView(record, (scope) => scopeText(scope, services));

export const identityOf = ({ caller, services }: Pick<Call, 'caller' | 'services'>): Identity => services.access.byActor(caller);

/** Somebody else's account is for those with the permission; to everybody else it is not there. @throws not_found */
export function checkOwnOr(permission: string, name: string, call: Call): { own: boolean } {
  const identity = identityOf(call);
  const own = identity.user?.name === name;
  if (!own && !identity.may(permission, null)) throw new VivError('not_found', `there is no user named ${name}; viv user ls lists them`);
  return { own };
}

/** What a stolen token must not reach. @throws forbidden */
export function checkNoToken({ caller }: Call): void {
  if (caller.via === 'token')
    throw new VivError('forbidden', 'a token cannot create tokens or change users, roles and credentials; sign in for that');
}
