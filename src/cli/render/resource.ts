// A VM's share of the host, as rows of the sheet of `viv show`: what is set, what is in force, and what is not enforced.
import type { ResourceSettings } from '../../contract/resource.ts';
import type { Vm } from '../../contract/vm-state.ts';
import { formatBytes, formatDuration } from './quantity.ts';

type Row = [string, string | string[] | null];
const joined = (parts: readonly (string | null | false)[]): string | null => parts.filter(Boolean).join(', ') || null;

export function resourceRows({ resources, resourceUse, memoryBytes }: Vm): Row[] {
  return [
    ['cpu', joined(cpuParts(resources))],
    ['cpu now', resourceUse && joined(nowParts(resourceUse))],
    [
      'pinned',
      joined([...resources.vcpuPins.map((pin) => `vCPUs ${pin}`), resources.emulatorPin !== 'none' && `emulator ${resources.emulatorPin}`]),
    ],
    ['memory range', joined(memoryParts(resources, memoryBytes))],
    [
      'memory now',
      resourceUse?.memoryBytes != null && resourceUse.memoryBytes !== memoryBytes ? formatBytes(resourceUse.memoryBytes) : null,
    ],
    ['disk limits', [...resources.diskLimits, ...(resources.ioWeight === 100 ? [] : [`weight ${resources.ioWeight}`])]],
    ['not enforced', resourceUse?.notEnforced ?? []],
  ];
}

const cpuParts = (set: ResourceSettings) => [
  set.cpuWeight !== 100 && `weight ${set.cpuWeight}`,
  set.cpuReservation > 0 && `${set.cpuReservation} reserved`,
  set.cpuLimit > 0 && `at most ${set.cpuLimit}${set.cpuLending ? ' unless the host is idle' : ''}`,
  set.cpuBurstMs > 0 && `burst ${formatDuration(set.cpuBurstMs)}`,
  set.maxCpus > 0 && `up to ${set.maxCpus} vCPUs`,
  set.cpuModel !== 'default' && set.cpuModel,
  set.cpuFeatures.length > 0 && set.cpuFeatures.join(' '),
];

const nowParts = ({ cpuLimitNow, cpuCreditMs }: NonNullable<Vm['resourceUse']>) => [
  cpuLimitNow !== null && `at most ${cpuLimitNow}`,
  cpuCreditMs !== null && `${formatDuration(cpuCreditMs)} of credit${cpuLimitNow === null ? ', limit lifted' : ''}`,
];

const memoryParts = (set: ResourceSettings, memoryBytes: number) => [
  (set.memoryMinimumBytes > 0 || set.memoryMaximumBytes > 0) &&
    `${formatBytes(set.memoryMinimumBytes || memoryBytes)} to ${formatBytes(set.memoryMaximumBytes || memoryBytes)}`,
  set.memoryWeight !== 100 && `weight ${set.memoryWeight}`,
  set.hugepages && 'huge pages',
  set.ksm && 'merged with equal pages',
  !set.freePageReporting && 'freed pages are kept',
];
