// A snapshot is forgotten: those after it have its parent, and the layers that nobody else builds on are removed.
import { rm } from 'node:fs/promises';
import { collectLayers } from '../vm/capture/collect-layers.ts';
import type { VmRegistry } from '../vm/registry.ts';
import type { Vm } from '../vm/vm.ts';

/** Repeatable. */
export async function removeSnapshot(vms: VmRegistry, vm: Vm, id: string): Promise<void> {
  const { snapshots, host } = vms;
  const snapshot = snapshots.byId(id);
  if (!snapshot) return;
  for (const child of snapshots.all()) if (child.parent === id) await snapshots.put({ ...child, parent: snapshot.parent });
  if (vm.record.at === id) await vm.update(() => ({ at: snapshot.parent }));
  await rm(host.paths.snapshot(id).folder, { recursive: true, force: true });
  await snapshots.drop(id);
  await collectLayers(vms);
}

/** All snapshots of a VM that is removed. Repeatable. */
export async function removeSnapshotsOf(vms: VmRegistry, vmRef: string): Promise<void> {
  for (const snapshot of vms.snapshots.all().filter((one) => one.vm === vmRef)) {
    await rm(vms.host.paths.snapshot(snapshot.id).folder, { recursive: true, force: true });
    await vms.snapshots.drop(snapshot.id);
  }
}
