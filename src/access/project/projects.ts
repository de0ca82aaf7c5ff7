// Projects (key `access/project/<name>`), and the images that they own (key `access/image/<digest>`). The records of VMs and networks name their project
// themselves. What names none belongs to the host.
import type { Logger } from 'pino';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';
import { Name, Time } from '../../contract/field.ts';
import { type Project, type Quotas, Quotas as QuotasSchema, type Usage } from '../../contract/project.ts';
import { newId } from '../../host/id.ts';
import type { Store } from '../../store/store.ts';
import { type Commit, Table, type Write, write } from '../table.ts';

const ProjectRecord = z.object({ id: z.string(), name: Name, summary: z.string(), quotas: QuotasSchema, createdAt: Time });
export type ProjectRecord = z.infer<typeof ProjectRecord>;

/** The projects that have an image; several may have made the same content. */
const ImageOwners = z.object({ id: z.string(), projects: z.array(z.string()) });
type ImageOwners = z.infer<typeof ImageOwners>;

export class Projects {
  readonly #projects: Table<ProjectRecord>;
  readonly #images: Table<ImageOwners>;
  readonly #byId = new Map<string, string>();

  private constructor(projects: Table<ProjectRecord>, images: Table<ImageOwners>) {
    this.#projects = projects;
    this.#images = images;
    for (const { id, name } of projects.all()) this.#byId.set(id, name);
  }

  /** Keys of records that cannot be read. */
  get unreadable(): readonly string[] {
    return [...this.#projects.unreadable, ...this.#images.unreadable];
  }

  static async open(store: Store, log: Logger): Promise<Projects> {
    return new Projects(
      await Table.open(store, 'access/project/', ProjectRecord, log),
      await Table.open(store, 'access/image/', ImageOwners, log),
    );
  }

  all(): ProjectRecord[] {
    return this.#projects.all();
  }

  byName(name: string): ProjectRecord | undefined {
    return this.#projects.get(name);
  }

  /** @throws not_found */
  get(name: string): ProjectRecord {
    const record = this.#projects.get(name);
    if (!record) throw this.missing(name);
    return record;
  }

  /** The error for a name that none has. */
  missing(name: string): VivError {
    return new VivError('not_found', `there is no project named ${name}; viv project ls lists them`);
  }

  byId(id: string): ProjectRecord | undefined {
    const name = this.#byId.get(id);
    return name === undefined ? undefined : this.#projects.get(name);
  }

  /** Ids of the projects that have an image; none: it belongs to the host. */
  ownersOfImage(digest: string): readonly string[] {
    return this.#images.get(digest)?.projects ?? [];
  }

  imagesOf(project: string): string[] {
    return this.#images.all().flatMap(({ id, projects }) => (projects.includes(project) ? [id] : []));
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

  /** It must own nothing. @throws not_found, busy */
  async remove(name: string, commit: Commit, ...also: Write[]): Promise<void> {
    const { id } = this.get(name);
    await write(commit, this.#projects.drop(name), ...also);
    this.#byId.delete(id);
  }

  /** The write by which a project has an image. */
  ownImage(digest: string, project: string): Write {
    return this.#images.put(digest, { id: digest, projects: [...new Set([...this.ownersOfImage(digest), project])] });
  }

  /** The writes by which a project has an image no more. */
  disownImage(digest: string, project: string): Write[] {
    const projects = this.ownersOfImage(digest);
    if (!projects.includes(project)) return [];
    const left = projects.filter((one) => one !== project);
    return [left.length === 0 ? this.#images.drop(digest) : this.#images.put(digest, { id: digest, projects: left })];
  }

  /** The writes by which nobody has an image that was removed. */
  forgetImage(digest: string): Write[] {
    return this.#images.get(digest) ? [this.#images.drop(digest)] : [];
  }
}

export const projectView = ({ id, name, summary, quotas, createdAt }: ProjectRecord, used: Usage): Project => ({
  ...{ id, name, summary, quotas, used, createdAt },
});
