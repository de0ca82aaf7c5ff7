// What is in force for a VM, in sentences for `viv explain`. Pure.
import { sizeText } from '../../contract/bound.ts';
import { effective } from '../../contract/resource.ts';
import type { CpuUse } from '../../resource/enforcer.ts';
import type { VmRecord } from '../record.ts';

/** @param entitlement CPUs that it gets when all running VMs are busy; null: it does not run */
export function holdsOf(
  { settings, started }: Pick<VmRecord, 'settings' | 'started'>,
  use: CpuUse | null,
  entitlement: number | null,
): string[] {
  const { resources } = settings;
  const { memoryMinimumBytes, memoryMaximumBytes } = effective(resources, settings);
  const limit = resources.cpuLimit;
  return [
    ...(entitlement === null
      ? []
      : [
          `it gets ${rounded(entitlement)} CPUs when all running VMs are busy (weight ${resources.cpuWeight}, ${resources.cpuReservation} reserved)`,
        ]),
    limit === 0
      ? `its vCPUs have no limit but their number, ${settings.cpus}`
      : use === null || use.limitNow === limit
        ? `its vCPUs use ${limit} CPUs together at most`
        : use.limitNow === null
          ? `its limit of ${limit} CPUs is lifted while it has ${Math.round((use.creditMs ?? 0) / 100) / 10} s of CPU credit`
          : `it is lent ${rounded(use.limitNow - limit)} CPUs above its limit of ${limit} while the host is idle`,
    memoryMinimumBytes === memoryMaximumBytes
      ? `its memory stays at ${sizeText(settings.memoryBytes)}: it has neither a minimum nor a maximum`
      : started !== null && !started.balloon
        ? 'its memory stays as it is: it was started without a balloon'
        : `its memory is between ${sizeText(memoryMinimumBytes)} and ${sizeText(memoryMaximumBytes)}, with weight ${resources.memoryWeight}`,
    ...(use?.notEnforced ?? []).map((line) => `not enforced: ${line}`),
  ];
}

const rounded = (cpus: number) => Math.round(cpus * 100) / 100;
