// Who is asking. What an identity may do is looked up each time it is asked, in the records of that moment: a role that was taken away, a token that was
// revoked or a user that was disabled takes effect immediately, also for a stream that is open and a task that waits.
import type { Actor } from '../contract/audit.ts';
import type { TokenLimit } from './role/decide.ts';
import { allowedThrough, type HeldGrant, type Target } from './role/decide.ts';
import type { UserRecord } from './user/record.ts';

/** The records that an identity's rights come from. */
export interface Rights {
  userOf(ref: Actor): UserRecord | undefined;
  /** Null: not limited. Undefined: the session or token has ended. */
  limitOf(ref: Actor): TokenLimit | null | undefined;
  grantsOf(user: UserRecord): readonly HeldGrant[];
}

export class Identity {
  readonly ref: Actor;
  readonly #rights: Rights;

  constructor(ref: Actor, rights: Rights) {
    this.ref = ref;
    this.#rights = rights;
  }

  get name(): string {
    return this.ref.name;
  }

  /** Root, the daemon's own user and the daemon itself: everything, without any look-up. */
  get isOwner(): boolean {
    return this.ref.user === null && this.ref.via !== 'none';
  }

  get user(): UserRecord | undefined {
    return this.#rights.userOf(this.ref);
  }

  /** Whether the session, the token and the user still are. */
  isValid(): boolean {
    if (this.isOwner) return true;
    const user = this.user;
    return user !== undefined && !user.disabled && this.#rights.limitOf(this.ref) !== undefined;
  }

  /** @param target null: the host as a whole */
  may(permission: string, target: Target | null): boolean {
    return this.isOwner || this.through(permission, target) !== undefined;
  }

  /** Whether some object may exist on which it has the permission: a request without an object, such as a list, is answered then. */
  mayAnywhere(permission: string): boolean {
    if (this.isOwner) return true;
    const held = this.#held();
    if (!held || (held.limit?.permissions && !held.limit.permissions.has(permission))) return false;
    return held.grants.some((grant) => grant.permissions.has(permission));
  }

  /** The grant by which it may; undefined: it may not, or it is an owner. */
  through(permission: string, target: Target | null): HeldGrant | undefined {
    const held = this.#held();
    return held && allowedThrough(held.grants, held.limit, permission, target);
  }

  /** A test for one permission, for lists: what is the same for every object is looked up once. */
  tester(permission: string): (target: Target | null) => boolean {
    if (this.isOwner) return () => true;
    const held = this.#held();
    if (!held) return () => false;
    return (target) => allowedThrough(held.grants, held.limit, permission, target) !== undefined;
  }

  #held(): { grants: readonly HeldGrant[]; limit: TokenLimit | null } | undefined {
    const user = this.user;
    const limit = this.#rights.limitOf(this.ref);
    if (!user || user.disabled || limit === undefined) return undefined;
    return { grants: this.#rights.grantsOf(user), limit };
  }
}
