// The roles of this host: the built-in ones and those made from permissions (key `access/role/<name>`).
import type { Logger } from 'pino';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';
import { Name, Time } from '../../contract/field.ts';
import type { Permission } from '../../contract/operation.ts';
import { type BuiltInRole, builtInRoles } from '../../contract/permission.ts';
import { PermissionPattern, type Role, roleSummaries } from '../../contract/role.ts';
import { newId } from '../../host/id.ts';
import type { Store } from '../../store/store.ts';
import { type Commit, Table, write } from '../table.ts';
import { builtInSet, type PermissionSet, patternSet } from './permission.ts';

const RoleRecord = z.object({ id: z.string(), name: Name, summary: z.string(), permissions: z.array(PermissionPattern), createdAt: Time });
type RoleRecord = z.infer<typeof RoleRecord>;

const builtIn = (name: string): name is BuiltInRole => (builtInRoles as readonly string[]).includes(name);

export class Roles {
  readonly #table: Table<RoleRecord>;
  /** Every permission that an operation declares. */
  readonly #known: readonly Permission[];
  readonly #sets = new Map<string, PermissionSet>();
  /** Grows with each change: what was derived from roles before is worth nothing. */
  version = 0;

  private constructor(table: Table<RoleRecord>, known: readonly Permission[]) {
    this.#table = table;
    this.#known = known;
  }

  /** Keys of records that cannot be read. */
  get unreadable(): readonly string[] {
    return this.#table.unreadable;
  }

  static async open(store: Store, known: readonly Permission[], log: Logger): Promise<Roles> {
    return new Roles(await Table.open(store, 'access/role/', RoleRecord, log), known);
  }

  list(): Role[] {
    return [...builtInRoles, ...this.#table.all().map(({ name }) => name)].map((name) => this.show(name));
  }

  /** @throws not_found */
  show(name: string): Role {
    const permissions = this.#known.filter((permission) => this.permissionsOf(name)?.has(permission));
    if (builtIn(name)) return { name, builtIn: true, summary: roleSummaries[name], permissions };
    return { name, builtIn: false, summary: this.#get(name).summary, permissions };
  }

  /** Undefined where there is no such role: a grant of it allows nothing. */
  permissionsOf(name: string): PermissionSet | undefined {
    let set = this.#sets.get(name);
    if (set) return set;
    const record = this.#table.get(name);
    if (builtIn(name)) set = builtInSet(name);
    else if (record) set = patternSet(record.permissions);
    if (set) this.#sets.set(name, set);
    return set;
  }

  /** @throws name_taken, invalid for a permission that no operation declares */
  async create(given: { name: string; summary: string; permissions: string[] }, commit: Commit, now: number): Promise<Role> {
    const { name } = given;
    if (builtIn(name) || this.#table.get(name))
      throw new VivError('name_taken', `there is a role named ${name} already; choose another name`);
    this.#check(given.permissions);
    await write(commit, this.#table.put(name, { id: newId(), ...given, createdAt: now }));
    this.#changed(name);
    return this.show(name);
  }

  /** @throws not_found, wrong_state for a built-in role, invalid */
  async set(name: string, permissions: string[], commit: Commit): Promise<Role> {
    const record = this.#own(name);
    this.#check(permissions);
    await write(commit, this.#table.put(name, { ...record, permissions }));
    this.#changed(name);
    return this.show(name);
  }

  /** @throws not_found, wrong_state for a built-in role */
  async remove(name: string, commit: Commit): Promise<void> {
    this.#own(name);
    await write(commit, this.#table.drop(name));
    this.#changed(name);
  }

  #changed(name: string): void {
    this.#sets.delete(name);
    this.version++;
  }

  #get(name: string): RoleRecord {
    const record = this.#table.get(name);
    if (!record) throw new VivError('not_found', `there is no role named ${name}; viv role ls lists them`);
    return record;
  }

  #own(name: string): RoleRecord {
    if (builtIn(name)) throw new VivError('wrong_state', `${name} is a built-in role and cannot be changed; create a role of your own`);
    return this.#get(name);
  }

  #check(patterns: readonly string[]): void {
    for (const pattern of patterns) {
      const set = patternSet([pattern]);
      if (!this.#known.some((permission) => set.has(permission)))
        throw new VivError('invalid', `no operation has the permission ${pattern}; viv role show administrator lists all of them`);
    }
  }
}
