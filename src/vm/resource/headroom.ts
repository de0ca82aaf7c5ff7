// What the host has promised to VMs, what it can still promise, and how many more VMs like those it has would fit.
import type { Host } from '../../contract/host.ts';
import { availableMemory } from '../../host/system/memory.ts';
import { headroom, sumOf, usableBytes } from '../../resource/memory/admission.ts';
import { overheadBytes } from '../lifecycle/check-start.ts';
import type { Uses } from '../services.ts';
import { committedMemory } from './admit.ts';

/** Of VMs that are alike only one is named. */
const mostNamed = 5;

export async function hostHeadroom(services: Uses<'vms' | 'resources'>): Promise<Host['capacity']> {
  const { vms, resources } = services;
  const [running, capacity, available] = await Promise.all([committedMemory(services), resources.capacity(), availableMemory()]);
  const sum = sumOf(running);
  const usable = usableBytes(capacity);
  const alike = new Map<string, Host['capacity']['more'][number]>();
  for (const { name, record } of vms.list()) {
    const { cpus, memoryBytes, resources: set } = record.settings;
    const kind = `${cpus}/${memoryBytes}/${set.memoryMinimumBytes}`;
    if (alike.has(kind) || alike.size === mostNamed) continue;
    const like = { reservedBytes: set.memoryMinimumBytes, givenBytes: memoryBytes };
    alike.set(kind, {
      like: name,
      count: headroom(like, running, capacity, available, (set.memoryMinimumBytes || memoryBytes) + overheadBytes),
    });
  }
  const live = vms.list().filter((vm) => vm.live !== null);
  return {
    reservableBytes: usable,
    reservedBytes: sum.reservedBytes,
    givableBytes: Math.floor(usable * capacity.overcommitRatio),
    givenBytes: sum.givenBytes,
    overcommitRatio: capacity.overcommitRatio,
    vcpus: live.reduce((count, { record }) => count + record.settings.cpus, 0),
    reservedCpus: live.reduce((count, { record }) => count + record.settings.resources.cpuReservation, 0),
    more: [...alike.values()],
  };
}
