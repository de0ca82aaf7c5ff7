// Admission of a start by what VMs reserve and what they have been given (resource/memory/admission.ts).
import { VivError } from '../../contract/errors.ts';
import { ownMemory } from '../../host/process/memory.ts';
import { freeHugePages } from '../../host/system/huge-pages.ts';
import { measureMemory } from '../../host/system/memory.ts';
import { admit, type Capacity, type Committed } from '../../resource/memory/admission.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';

/** What is kept for the host: a tenth of its memory, at most 1 GiB. */
const mostReserveBytes = 2 ** 30;
const defaultOvercommit = 2;

/** @throws invalid where the environment has no number */
export async function hostCapacity(env: NodeJS.ProcessEnv): Promise<Capacity> {
  const { totalBytes } = await measureMemory();
  return {
    totalBytes,
    reserveBytes: numberFrom(env, 'VIV_MEMORY_RESERVE_BYTES') ?? Math.min(mostReserveBytes, Math.floor(totalBytes / 10)),
    overcommitRatio: numberFrom(env, 'VIV_MEMORY_OVERCOMMIT') ?? defaultOvercommit,
  };
}

function numberFrom(env: NodeJS.ProcessEnv, name: string): number | null {
  const text = env[name];
  if (text === undefined || text === '') return null;
  const number = Number(text);
  if (!(number >= 0)) throw new VivError('invalid', `${name} is ${JSON.stringify(text)}, which is not a number of 0 or more`);
  return number;
}

/** One that resumes or was forked shares memory with others until it writes to it. */
const isSharing = ({ record }: Vm): boolean => record.forkedFrom !== null;

/** What running VMs have of the host's memory. */
export async function committedMemory({ vms }: Uses<'vms'>): Promise<Committed[]> {
  const live = vms.all().filter((vm) => vm.live !== null);
  return Promise.all(
    live.map(async (vm) => {
      const { memoryMinimumBytes } = vm.record.settings.resources;
      const own = isSharing(vm) ? await ownMemory(vm.live?.process.pid ?? 0) : null;
      return { reservedBytes: memoryMinimumBytes, givenBytes: own ?? vm.record.settings.memoryBytes };
    }),
  );
}

/** @param count how many like it start. @throws no_memory, with the arithmetic */
export async function admitStart(
  name: string,
  { settings }: Vm['record'],
  count: number,
  shares: boolean,
  services: Uses<'vms' | 'resources'>,
): Promise<void> {
  const { memoryBytes, resources } = settings;
  if (resources.hugepages) {
    const free = await freeHugePages();
    if (free < memoryBytes)
      throw new VivError(
        'no_memory',
        `cannot start ${name}: it needs ${mib(memoryBytes)} of huge pages and the host has ${mib(free)} free. Add some with vm.nr_hugepages, or set hugepages=false`,
      );
  }
  const desired = { reservedBytes: resources.memoryMinimumBytes, givenBytes: shares ? 0 : memoryBytes };
  admit(name, desired, count, await committedMemory(services), await services.resources.capacity());
}

const mib = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
