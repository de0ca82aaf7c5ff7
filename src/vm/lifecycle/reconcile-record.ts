// After a verb has failed half-way: the record is made to say what is truly there.
import { rm } from 'node:fs/promises';
import { isUsable } from '../../host/usable.ts';
import type { Machines } from '../registry.ts';
import type { Machine } from '../vm.ts';
import { letGo } from './start.ts';

/** Repeatable. */
export async function reconcile(machine: Machine, machines: Machines): Promise<void> {
  machine.ending = false;
  const { record } = machine;
  if (await machines.processes.of(machine)) {
    if (record.wanted !== 'running') await machine.update(() => ({ wanted: 'running' }));
    return;
  }
  letGo(machine);
  await rm(machine.paths.run, { recursive: true, force: true });
  if (record.state === 'running' || record.state === 'paused') {
    await machine.update(() => ({ state: 'stopped', stateReason: null, started: null, wanted: 'stopped' }));
  }
}

/** A machine whose removal failed is a machine again; one that has lost files says so. Repeatable. */
export async function unremove(machine: Machine, machines: Machines): Promise<void> {
  await reconcile(machine, machines);
  const lost = await firstMissing(machine.record.disks.map((disk) => disk.file));
  const reason = {
    code: 'files_missing',
    message: `its file ${lost} is gone, because its removal was begun; remove it again`,
    at: Date.now(),
  } as const;
  await machine.update(() => ({ complete: true, ...(lost === null ? {} : { state: 'broken', stateReason: reason }) }));
}

async function firstMissing(files: readonly string[]): Promise<string | null> {
  for (const file of files) if (!(await isUsable(file))) return file;
  return null;
}
