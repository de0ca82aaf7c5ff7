// After a verb has failed half-way: the record is made to match the process.
import { rm } from 'node:fs/promises';
import { isUsable } from '../../host/file/usable.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';

/** Repeatable. */
export async function reconcile(vm: Vm, services: Uses<'processes'>): Promise<void> {
  vm.runtime.abandonEnd();
  const { record } = vm;
  if (await services.processes.of(vm)) {
    if (record.desired !== 'running') await vm.update(() => ({ desired: 'running' }));
    return;
  }
  vm.runtime.disconnect();
  await rm(vm.paths.run, { recursive: true, force: true });
  if (record.state === 'running' || record.state === 'paused') {
    await vm.update(() => ({ state: 'stopped', stateReason: null, started: null, desired: 'stopped' }));
  }
}

/** A VM whose removal failed is listed again; if files are missing it is broken. Repeatable. */
export async function unremove(vm: Vm, services: Uses<'processes'>): Promise<void> {
  await reconcile(vm, services);
  const lost = await firstMissing(vm.record.disks.map((disk) => disk.file));
  const reason = {
    code: 'files_missing',
    message: `its file ${lost} is missing, because its removal was begun. Remove it again`,
    occurredAt: Date.now(),
  } as const;
  await vm.update(() => ({ complete: true, ...(lost === null ? {} : { state: 'broken', stateReason: reason }) }));
}

async function firstMissing(files: readonly string[]): Promise<string | null> {
  for (const file of files) if (!(await isUsable(file))) return file;
  return null;
}
