// Removing a snapshot: its children get its parent, and layers that back nothing else are removed.
import { rm } from 'node:fs/promises';
import { collectLayers } from '../vm/capture/collect-layers.ts';
import type { Vm } from '../vm/vm.ts';
import type { Uses } from './services.ts';

/** Repeatable. */
export async function removeSnapshot(services: Uses<'vms' | 'snapshots' | 'checks' | 'paths'>, vm: Vm, id: string): Promise<void> {
  const { snapshots, paths } = services;
  const snapshot = snapshots.byId(id);
  if (!snapshot && !snapshots.unreadable().some((one) => one.id === id)) return;
  const parent = snapshot?.parent ?? null;
  for (const child of snapshots.all()) if (child.parent === id) await snapshots.put({ ...child, parent });
  if (vm.record.at === id) await vm.update(() => ({ at: parent }));
  await rm(paths.snapshot(id).folder, { recursive: true, force: true });
  await snapshots.drop(id);
  await collectLayers(services);
}

/** All snapshots of a VM that is removed. Repeatable. */
export async function removeSnapshotsOf(services: Uses<'snapshots' | 'paths'>, vmRef: string): Promise<void> {
  for (const snapshot of [...services.snapshots.all(), ...services.snapshots.unreadable()].filter((one) => one.vm === vmRef)) {
    await rm(services.paths.snapshot(snapshot.id).folder, { recursive: true, force: true });
    await services.snapshots.drop(snapshot.id);
  }
}
