// A point is forgotten: those after it have its parent, and the layers that nobody else builds on are removed.
import { rm } from 'node:fs/promises';
import { collectLayers } from '../vm/capture/collect-layers.ts';
import type { Machines } from '../vm/registry.ts';
import type { Machine } from '../vm/vm.ts';

/** Repeatable. */
export async function removePoint(machines: Machines, machine: Machine, id: string): Promise<void> {
  const { points, host } = machines;
  const point = points.byId(id);
  if (!point) return;
  for (const child of points.all()) if (child.parent === id) await points.put({ ...child, parent: point.parent });
  if (machine.record.at === id) await machine.update(() => ({ at: point.parent }));
  await rm(host.paths.point(id).folder, { recursive: true, force: true });
  await points.drop(id);
  await collectLayers(machines);
}

/** All points of a machine that is removed. Repeatable. */
export async function removePointsOf(machines: Machines, vm: string): Promise<void> {
  for (const point of machines.points.all().filter((one) => one.vm === vm)) {
    await rm(machines.host.paths.point(point.id).folder, { recursive: true, force: true });
    await machines.points.drop(point.id);
  }
}
