// The users of this host: their records, what they sign in with and their grants. Checking a password or a code is in sign-in.ts.
import type { Logger } from 'pino';
import { VivError } from '../../contract/errors.ts';
import type { User } from '../../contract/user.ts';
import { newId } from '../../host/id.ts';
import type { Store } from '../../store/store.ts';
import { type Commit, Table, type Write, write } from '../table.ts';
import { type GrantRecord, type Scope, UserRecord } from './record.ts';

export class Users {
  readonly #table: Table<UserRecord>;
  readonly #byUid = new Map<number, string>();
  readonly #byId = new Map<string, string>();

  private constructor(table: Table<UserRecord>) {
    this.#table = table;
    this.#index();
  }

  /** Keys of records that cannot be read. */
  get unreadable(): readonly string[] {
    return this.#table.unreadable;
  }

  static async open(store: Store, log: Logger): Promise<Users> {
    return new Users(await Table.open(store, 'access/user/', UserRecord, log));
  }

  all(): UserRecord[] {
    return this.#table.all();
  }

  byName(name: string): UserRecord | undefined {
    return this.#table.get(name);
  }

  byId(id: string): UserRecord | undefined {
    const name = this.#byId.get(id);
    return name === undefined ? undefined : this.#table.get(name);
  }

  byUid(uid: number): UserRecord | undefined {
    const name = this.#byUid.get(uid);
    return name === undefined ? undefined : this.#table.get(name);
  }

  byIdentity(issuer: string, subject: string): UserRecord | undefined {
    return this.all().find(({ identities }) => identities.some((one) => one.issuer === issuer && one.subject === subject));
  }

  byPasskey(id: string): UserRecord | undefined {
    return this.all().find(({ passkeys }) => passkeys.some((passkey) => passkey.id === id));
  }

  /** @throws not_found */
  get(name: string): UserRecord {
    const record = this.#table.get(name);
    if (!record) throw new VivError('not_found', `there is no user named ${name}; viv user ls lists them`);
    return record;
  }

  /** @throws name_taken when the name or the local account belongs to another user */
  async create(
    given: { name: string; password: string | null; uid: number | null; grants: GrantRecord[] },
    commit: Commit,
    now: number,
    ...also: Write[]
  ): Promise<UserRecord> {
    const { name, uid } = given;
    if (this.#table.get(name)) throw new VivError('name_taken', `there is a user named ${name} already; choose another name`);
    this.#checkUid(uid, name);
    const record: UserRecord = {
      ...{ id: newId(), name, uid, disabled: false, grants: given.grants, password: given.password, totp: null },
      ...{ recoveryCodes: [], passkeys: [], identities: [], createdAt: now, lastSignInAt: null },
    };
    await this.#write(commit, this.#table.put(name, record), ...also);
    return record;
  }

  /** @param also further writes of the same transaction. @throws not_found, name_taken, busy */
  async update(name: string, change: (before: UserRecord) => Partial<UserRecord>, commit: Commit, ...also: Write[]): Promise<UserRecord> {
    const before = this.get(name);
    const record = { ...before, ...change(before) };
    if (record.uid !== before.uid) this.#checkUid(record.uid, name);
    await this.#write(commit, this.#table.put(name, record), ...also);
    return record;
  }

  /** @throws not_found, busy */
  async remove(name: string, commit: Commit, ...also: Write[]): Promise<void> {
    this.get(name);
    await this.#write(commit, this.#table.drop(name), ...also);
  }

  /** Writes that take every grant on an object or a project from every user, when it is removed. */
  withoutScope(scope: Scope): Write[] {
    return this.all()
      .filter(({ grants }) => grants.some((grant) => sameScope(grant.scope, scope)))
      .map((record) =>
        this.#table.put(record.name, { ...record, grants: record.grants.filter((grant) => !sameScope(grant.scope, scope)) }),
      );
  }

  async #write(commit: Commit, ...writes: Write[]): Promise<void> {
    await write(commit, ...writes);
    this.#index();
  }

  #index(): void {
    this.#byUid.clear();
    this.#byId.clear();
    for (const { id, name, uid } of this.#table.all()) {
      this.#byId.set(id, name);
      if (uid !== null) this.#byUid.set(uid, name);
    }
  }

  #checkUid(uid: number | null, name: string): void {
    const holder = uid === null ? undefined : this.#byUid.get(uid);
    if (holder !== undefined && holder !== name)
      throw new VivError(
        'name_taken',
        `the local account ${uid} is the user ${holder} already; choose another account, or remove that user first`,
      );
  }
}

export function sameScope(one: Scope, other: Scope): boolean {
  if (one.kind === 'host' || other.kind === 'host') return one.kind === other.kind;
  return one.kind === other.kind && one.id === other.id;
}

/** What the API shows of a user. @param textOf a scope with the names of today; null: what it names is gone */
export function userView(record: UserRecord, textOf: (scope: Scope) => string | null): User {
  const { id, name, uid, disabled, grants, createdAt, lastSignInAt } = record;
  return {
    ...{ id, name, uid, disabled, createdAt, lastSignInAt },
    grants: grants.flatMap(({ role, scope }) => {
      const on = textOf(scope);
      return on === null ? [] : [{ role, on }];
    }),
    signIn: {
      password: record.password !== null,
      totp: record.totp?.confirmed === true,
      recoveryCodes: record.recoveryCodes.length,
      passkeys: record.passkeys.map(({ id: key, name: label, createdAt: at, lastUsedAt }) => ({
        id: key,
        name: label,
        createdAt: at,
        lastUsedAt,
      })),
      identities: record.identities,
    },
  };
}
