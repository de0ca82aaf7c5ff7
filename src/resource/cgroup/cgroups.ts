// Creates, fills and removes the groups of VMs. What is written is decided in layout.ts.
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GroupLimits, Layout, Write } from './layout.ts';

/** How long a process that has been killed may need to leave its groups. */
const leaveDeadlineMs = 5000;
const leaveEveryMs = 50;

export interface Throttling {
  readonly periods: number;
  readonly throttledPeriods: number;
}

export class Cgroups {
  readonly layout: Layout;
  #prepared: Promise<void> | null = null;
  #removing: Promise<unknown> = Promise.resolve();
  /** What was written last, so that an unchanged value is not written again. */
  readonly #written = new Map<string, string>();

  constructor(layout: Layout) {
    this.layout = layout;
  }

  /** Creates a VM's groups and moves a process and all of its threads into them. Repeatable. @throws where the kernel refuses it */
  async place(vm: string, pid: number): Promise<void> {
    await this.#create(vm);
    await Promise.all(this.layout.processFiles(vm).map((file) => writeFile(file, String(pid))));
  }

  /** Moves vCPU threads into their own group; a thread that has ended is left out. */
  async placeVcpus(vm: string, threads: readonly number[]): Promise<void> {
    for (const file of this.layout.vcpuFiles(vm))
      for (const thread of threads) await writeFile(file, String(thread)).catch(unlessCode('ESRCH'));
  }

  /** @returns the settings that the kernel refused, each with its reason */
  async apply(vm: string, limits: GroupLimits): Promise<string[]> {
    const refused = new Map(this.layout.missing.map((setting) => [setting, `${setting}: this host has no controller for it`]));
    const writes = this.layout.limits(vm, limits);
    // Limits are written as one: unless all of them stand already.
    const files = new Map<string, string>();
    for (const { file, value } of writes) files.set(file, value);
    const stale = new Set([...files].filter(([file, value]) => this.#written.get(file) !== value).map(([file]) => folderOf(file)));
    for (const write of writes) {
      if (!stale.has(folderOf(write.file))) continue;
      const problem = await this.#write(write);
      if (problem !== null && write.setting !== '') refused.set(write.setting, `${write.setting}: ${problem}`);
    }
    return [...refused.values()];
  }

  /** Removes a VM's groups once they are empty. Repeatable. @returns whether nothing is left */
  async remove(vm: string): Promise<boolean> {
    const folders = this.layout.folders(vm).reverse();
    for (const file of [...this.#written.keys()]) if (folders.some((folder) => file.startsWith(`${folder}/`))) this.#written.delete(file);
    const deadline = Date.now() + leaveDeadlineMs;
    for (;;) {
      let left = 0;
      for (const folder of folders) if (!(await removeFolder(folder))) left += 1;
      if (left === 0) return true;
      if (Date.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, leaveEveryMs));
    }
  }

  /** Ids of VMs that have groups. */
  async list(): Promise<string[]> {
    const ids = new Set<string>();
    for (const top of this.layout.roots)
      for (const entry of await readdir(top, { withFileTypes: true }).catch(() => [])) if (entry.isDirectory()) ids.add(entry.name);
    return [...ids];
  }

  /** Removes the folders that hold VMs' groups, where they are empty. */
  async removeTops(): Promise<void> {
    this.#prepared = null; // from now on a group that is created waits for the end of this, and prepares anew
    this.#written.clear();
    this.#removing = Promise.all(this.layout.roots.map(removeFolder));
    await this.#removing;
  }

  /** How often the vCPUs were stopped by their limit, since the group was created; null: not known. */
  async throttling(vm: string): Promise<Throttling | null> {
    const file = this.layout.cpuStat(vm);
    const text = file === null ? null : await readFile(file, 'utf8').catch(() => null);
    if (text === null) return null;
    const figure = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
    const [periods, throttledPeriods] = [figure('nr_periods'), figure('nr_throttled')];
    return Number.isNaN(periods) || Number.isNaN(throttledPeriods) ? null : { periods, throttledPeriods };
  }

  async #create(vm: string): Promise<void> {
    this.#prepared ??= this.#prepare().catch((error: unknown) => {
      this.#prepared = null;
      throw error;
    });
    await this.#prepared;
    for (const folder of this.layout.folders(vm)) await createGroup(folder);
    for (const write of this.layout.setup(vm)) await this.#write(write);
  }

  async #prepare(): Promise<void> {
    await this.#removing;
    for (const top of this.layout.roots) await createGroup(top);
    for (const write of this.layout.topWrites) await this.#write(write);
  }

  /** @returns why it failed; null: it did not */
  async #write({ file, value }: Write): Promise<string | null> {
    if (this.#written.get(file) === value) return null;
    try {
      await writeFile(file, value);
      this.#written.set(file, value);
      return null;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return code === 'ENOENT' ? 'this host’s kernel does not have it' : `the kernel refused it (${code})`;
    }
  }
}

const folderOf = (file: string) => file.slice(0, file.lastIndexOf('/'));

const unlessCode = (code: string) => (error: NodeJS.ErrnoException) => {
  if (error.code !== code) throw error;
};

/** A group of v1's cpuset takes no process before it has CPUs and memory nodes: those of its parent. */
async function createGroup(folder: string): Promise<void> {
  await mkdir(folder).catch(unlessCode('EEXIST'));
  if (!/\/cpuset(,|\/)/.test(folder)) return;
  for (const name of ['cpuset.cpus', 'cpuset.mems']) {
    const own = await readFile(join(folder, name), 'utf8').catch(() => null);
    if (own === null || own.trim() !== '') continue;
    await writeFile(join(folder, name), (await readFile(join(folder, '..', name), 'utf8')).trim());
  }
}

const removeFolder = (folder: string): Promise<boolean> =>
  rmdir(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
