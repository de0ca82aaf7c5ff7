// Projects (key `access/project/<name>`) and what they own (key `access/owner/<kind>/<id>`). What has no entry belongs to the host.
import type { Logger } from 'pino';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';
import { Name, Time } from '../../contract/field.ts';
import { type Project, type Quotas, Quotas as QuotasSchema, type Usage } from '../../contract/project.ts';
import { type ObjectKind, objectKinds } from '../../contract/role.ts';
import { newId } from '../../host/id.ts';
import type { Store } from '../../store/store.ts';
import { type Commit, Table, type Write, write } from '../table.ts';

const ProjectRecord = z.object({ id: z.string(), name: Name, summary: z.string(), quotas: QuotasSchema, createdAt: Time });
export type ProjectRecord = z.infer<typeof ProjectRecord>;

const OwnerRecord = z.object({ kind: z.enum(objectKinds), id: z.string(), project: z.string() });
type OwnerRecord = z.infer<typeof OwnerRecord>;

export interface OwnedObject {
  readonly kind: ObjectKind;
  readonly id: string;
}

const keyOf = ({ kind, id }: OwnedObject) => `${kind}/${id}`;

export class Projects {
  readonly #projects: Table<ProjectRecord>;
  readonly #owners: Table<OwnerRecord>;
  readonly #byId = new Map<string, string>();

  private constructor(projects: Table<ProjectRecord>, owners: Table<OwnerRecord>) {
    this.#projects = projects;
    this.#owners = owners;
    for (const { id, name } of projects.all()) this.#byId.set(id, name);
  }

  static async open(store: Store, log: Logger): Promise<Projects> {
    return new Projects(
      await Table.open(store, 'access/project/', ProjectRecord, log),
      await Table.open(store, 'access/owner/', OwnerRecord, log),
    );
  }

  all(): ProjectRecord[] {
    return this.#projects.all();
  }

  /** @throws not_found */
  get(name: string): ProjectRecord {
    const record = this.#projects.get(name);
    if (!record) throw projectNotFound(name);
    return record;
  }

  byId(id: string): ProjectRecord | undefined {
    const name = this.#byId.get(id);
    return name === undefined ? undefined : this.#projects.get(name);
  }

  /** Id of the project that owns it; null: the host. */
  ownerOf(kind: ObjectKind, id: string): string | null {
    return this.#owners.get(`${kind}/${id}`)?.project ?? null;
  }

  objectsOf(project: string): OwnedObject[] {
    return this.#owners.all().filter((owner) => owner.project === project);
  }

  /** @throws name_taken */
  async create(given: { name: string; summary: string; quotas: Quotas }, commit: Commit, now: number): Promise<ProjectRecord> {
    const { name } = given;
    if (this.#projects.get(name)) throw new VivError('name_taken', `there is a project named ${name} already; choose another name`);
    const record = { id: newId(), ...given, createdAt: now };
    await write(commit, this.#projects.put(name, record));
    this.#byId.set(record.id, name);
    return record;
  }

  /** @throws not_found, busy */
  async setQuotas(name: string, quotas: Partial<Quotas>, commit: Commit): Promise<ProjectRecord> {
    const before = this.get(name);
    const record = { ...before, quotas: { ...before.quotas, ...quotas } };
    await write(commit, this.#projects.put(name, record));
    return record;
  }

  /** @throws not_found, in_use while it owns something, busy */
  async remove(name: string, commit: Commit, ...also: Write[]): Promise<void> {
    const { id } = this.get(name);
    const owned = this.objectsOf(id);
    if (owned.length > 0)
      throw new VivError(
        'in_use',
        `the project ${name} owns ${owned.length} objects; remove them or release them first: viv project release`,
      );
    await write(commit, this.#projects.drop(name), ...also);
    this.#byId.delete(id);
  }

  /** The write by which a project owns an object from then on. */
  own(object: OwnedObject, project: string): Write {
    return this.#owners.put(keyOf(object), { kind: object.kind, id: object.id, project });
  }

  /** The writes by which an object belongs to the host. */
  disown(object: OwnedObject): Write[] {
    return this.#owners.get(keyOf(object)) ? [this.#owners.drop(keyOf(object))] : [];
  }
}

export const projectNotFound = (name: string): VivError =>
  new VivError('not_found', `there is no project named ${name}; viv project ls lists them`);

export const projectView = ({ id, name, summary, quotas, createdAt }: ProjectRecord, used: Usage): Project => ({
  ...{ id, name, summary, quotas, used, createdAt },
});
