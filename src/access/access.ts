// Access: who may do what on this host, and a record of it.
//
//   a request --credential--> Identity --permission, target--> allowed or not --> audit record, in the transaction of the change
//
// This room owns users, their credentials, sessions, tokens, roles, projects and the audit log. Which permission a request needs, on which objects, is
// decided in api/ and operations/access/; this room knows objects only by kind, id and owning project.
import type { Logger } from 'pino';
import type { Actor } from '../contract/audit.ts';
import type { Permission } from '../contract/operation.ts';
import type { Clock } from '../host/clock.ts';
import type { Store } from '../store/store.ts';
import { Identity, type Rights } from './identity.ts';
import { Projects } from './project/projects.ts';
import type { HeldGrant } from './role/decide.ts';
import { Roles } from './role/roles.ts';
import { kindOf } from './secret.ts';
import { LastUse } from './session/last-use.ts';
import { Sessions } from './session/sessions.ts';
import { SingleUse } from './session/single-use.ts';
import { Tokens } from './session/tokens.ts';
import type { UserRecord } from './user/record.ts';
import { SignIn } from './user/sign-in.ts';
import { Throttle } from './user/throttle.ts';
import { Users } from './user/users.ts';

const linkMs = 15 * 60_000;
const ticketMs = 30_000;

/** What a link is for: the first administrator, a user who lost a factor, or a browser of a caller on the host's socket. */
export type LinkPurpose = { readonly kind: 'set-up' } | { readonly kind: 'recovery' | 'sign-in'; readonly user: string };

export interface Ticket {
  readonly vm: string;
  readonly kind: string;
  readonly by: Actor;
}

export interface AccessOptions {
  readonly store: Store;
  readonly log: Logger;
  readonly clock: Pick<Clock, 'now'>;
  /** Every permission that an operation declares. */
  readonly permissions: readonly Permission[];
  /** The daemon's own uid: an owner, as root is. */
  readonly ownUid: number;
}

export class Access implements Rights {
  readonly users: Users;
  readonly roles: Roles;
  readonly projects: Projects;
  readonly sessions: Sessions;
  readonly tokens: Tokens;
  readonly signIn: SignIn;
  readonly links: SingleUse<LinkPurpose>;
  readonly tickets: SingleUse<Ticket>;
  readonly #ownUid: number;
  readonly #grants = new WeakMap<UserRecord, { version: number; grants: HeldGrant[] }>();

  private constructor(records: Pick<Access, 'users' | 'roles' | 'projects' | 'sessions' | 'tokens'>, { clock, ownUid }: AccessOptions) {
    const now = () => clock.now();
    this.users = records.users;
    this.roles = records.roles;
    this.projects = records.projects;
    this.sessions = records.sessions;
    this.tokens = records.tokens;
    this.signIn = new SignIn(this.users, new Throttle(now), now);
    this.links = new SingleUse('link', linkMs, now);
    this.tickets = new SingleUse('ticket', ticketMs, now);
    this.#ownUid = ownUid;
  }

  /** Keys of records that cannot be read: they grant nothing. */
  unreadable(): string[] {
    return [this.users, this.roles, this.projects, this.sessions, this.tokens].flatMap(({ unreadable }) => unreadable);
  }

  static async open(options: AccessOptions): Promise<Access> {
    const { store, log, permissions, clock } = options;
    const now = () => clock.now();
    const uses = await LastUse.open(store, now, log);
    const access = new Access(
      {
        users: await Users.open(store, log),
        roles: await Roles.open(store, permissions, log),
        projects: await Projects.open(store, log),
        sessions: await Sessions.open(store, uses, now, log),
        tokens: await Tokens.open(store, uses, now, log),
      },
      options,
    );
    await uses.prune((id) => access.sessions.isOpen(id) || access.tokens.byId(id) !== undefined);
    return access;
  }

  /** The daemon itself, for what it does without being asked. */
  daemon(): Identity {
    return new Identity({ user: null, name: 'daemon', via: 'daemon', session: null, token: null, from: null }, this);
  }

  /** The sender of a request without a credential. */
  nobody(from: string | null): Identity {
    return new Identity({ user: null, name: 'nobody', via: 'none', session: null, token: null, from }, this);
  }

  /** The process at the other end of the host's socket; undefined: nobody here. @param uid null where the kernel cannot be asked */
  byUid(uid: number | null): Identity | undefined {
    const from = `uid ${uid ?? this.#ownUid}`;
    const base = { via: 'socket', session: null, token: null, from } as const;
    if (uid === null || uid === 0 || uid === this.#ownUid)
      return new Identity({ ...base, user: null, name: uid === 0 ? 'root' : `uid ${uid ?? this.#ownUid}` }, this);
    const user = this.users.byUid(uid);
    return user && !user.disabled ? new Identity({ ...base, user: user.id, name: user.name }, this) : undefined;
  }

  /** The holder of a session's or token's secret; undefined: it is unknown, has expired or was revoked. */
  bySecret(secret: string, address: string | null): Identity | undefined {
    const kind = kindOf(secret);
    const session = kind === 'session' ? this.sessions.find(secret) : undefined;
    const token = kind === 'token' ? this.tokens.find(secret) : undefined;
    const user = this.users.byId(session?.userId ?? token?.userId ?? '');
    if (!user || user.disabled || (!session && !token)) return undefined;
    const via = session ? 'session' : 'token';
    return new Identity(
      { user: user.id, name: user.name, via, session: session?.id ?? null, token: token?.id ?? null, from: address },
      this,
    );
  }

  /** The identity that a task has kept. */
  byActor(ref: Actor): Identity {
    return new Identity(ref, this);
  }

  userOf({ user }: Actor): UserRecord | undefined {
    return user === null ? undefined : this.users.byId(user);
  }

  limitOf({ session, token }: Actor) {
    if (token !== null) {
      const record = this.tokens.byId(token);
      return record && this.tokens.limitOf(record);
    }
    return session === null || this.sessions.isOpen(session) ? null : undefined;
  }

  grantsOf(user: UserRecord): readonly HeldGrant[] {
    const known = this.#grants.get(user);
    const { version } = this.roles;
    if (known?.version === version) return known.grants;
    const grants = user.grants.flatMap(({ role, scope }) => {
      const permissions = this.roles.permissionsOf(role);
      return permissions ? [{ role, scope, permissions }] : [];
    });
    this.#grants.set(user, { version, grants });
    return grants;
  }
}
