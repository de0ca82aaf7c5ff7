// A VM whose record cannot be read, or is missing, is shown as broken with what can be read of it. Nothing is done with it but showing and
// removing it: its process, its disks and its NICs stay as they are.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Paths } from '../host/paths.ts';
import { whyUnreadable } from '../store/named-records.ts';
import type { Store } from '../store/store.ts';
import { nameKey, VmRecord, vmKey } from './record.ts';

/** Stands in the store for a VM whose record is missing. */
const Missing = z.object({ missingRecord: z.literal(true) });

/**
 * What can be read of a record, with nothing in it that would make a daemon act on it.
 * @param name that the store knows it by
 * @param why it cannot be read
 */
export function salvage(id: string, name: string, value: unknown, why: string, now: number): VmRecord {
  const fields = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const read = Object.entries(VmRecord.shape).flatMap(([key, schema]) => {
    const parsed = (schema as z.ZodType).safeParse(fields[key]);
    return parsed.success ? [[key, parsed.data] as const] : [];
  });
  const record = { ...blank, ...Object.fromEntries(read) } as VmRecord;
  return {
    ...record,
    ...{ id, name, complete: true, state: 'broken', desired: 'stopped', warmPool: null, resumeFrom: null },
    stateReason: { code: 'record_unreadable', message: `${why}. Remove it with viv rm --force ${name}`, occurredAt: now },
    settings: { ...record.settings, restart: 'no', autostart: false, removeOnStop: false, snapshotPolicy: null },
  };
}

/** Why a record cannot be read, as a clause. */
export function problemOf(value: unknown, error: z.ZodError): string {
  if (Missing.safeParse(value).success) return 'its record is missing from the store';
  return whyUnreadable(error);
}

/**
 * Registers, as VMs whose record is missing, those that have a folder and that the store does not know.
 * @param all false: only those with disks; what else is there belongs to nobody, because the store knows all VMs
 * @returns their names
 */
export async function registerMissing(store: Store, paths: Pick<Paths, 'vms' | 'run'>, all: boolean): Promise<string[]> {
  const folders = [paths.vms, ...(all ? [join(paths.run, 'vms')] : [])];
  const ids = new Set((await Promise.all(folders.map((folder) => readdir(folder).catch(() => [])))).flat());
  const names: string[] = [];
  for (const id of ids) {
    if (!isId(id) || (await store.get(vmKey(id)))) continue;
    if (!all && !(await holdsDisk(join(paths.vms, id)))) continue;
    const name = `unknown-${id}`;
    await store.commit({
      puts: [
        { key: vmKey(id), value: { missingRecord: true, id, name, uid: await userOf(id, paths) } },
        { key: nameKey(name), value: id },
      ],
    });
    names.push(name);
  }
  return names;
}

const isId = (name: string): boolean => /^[a-z0-9]{1,40}$/.test(name);

/** The user its files belong to, which no other VM may get; null: the daemon's own. */
async function userOf(id: string, paths: Pick<Paths, 'vms' | 'run'>): Promise<number | null> {
  const disks = (await readdir(join(paths.vms, id)).catch(() => [])).map((file) => join(paths.vms, id, file));
  for (const file of [...disks, join(paths.run, 'vms', id)]) {
    const { uid } = await stat(file).catch(() => ({ uid: 0 }));
    if (uid !== 0 && uid !== process.getuid?.()) return uid;
  }
  return null;
}

/** A missing record is no reason to lose what a guest has written. */
async function holdsDisk(folder: string): Promise<boolean> {
  const files = await readdir(folder).catch(() => []);
  return files.some((file) => file.endsWith('.qcow2') || file.endsWith('.raw'));
}

const blank: Omit<VmRecord, 'id' | 'name' | 'complete' | 'state' | 'stateReason' | 'desired'> = {
  uuid: '',
  uid: null,
  arch: 'x86_64',
  settings: {
    ...{ cpus: 1, memoryBytes: 0, accel: 'auto', firmware: 'bios', boot: ['disk'], restart: 'no', autostart: false },
    ...{ removeOnStop: false, tpm: false, resources: VmRecord.shape.settings.shape.resources.parse({}), snapshotPolicy: null },
    hostname: null,
  },
  started: null,
  image: { name: '', digest: null, minMemoryBytes: null, ready: [] },
  kernel: null,
  seed: null,
  disks: [],
  vars: null,
  at: null,
  resumeFrom: null,
  pendingIdentity: null,
  resumedFromSuspend: false,
  forkedFrom: null,
  project: null,
  warmPool: null,
  nics: [],
  createdAt: 0,
  startedAt: null,
  bootId: null,
  restarts: 0,
};
