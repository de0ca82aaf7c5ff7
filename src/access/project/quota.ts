// Whether what a request adds fits into a project's quotas. Pure.
import { VivError } from '../../contract/errors.ts';
import { type QuotaName, type Quotas, quotaNames, type Usage } from '../../contract/project.ts';

export const noUsage: Usage = Object.fromEntries(quotaNames.map((name) => [name, 0])) as Usage;

export function addUsage(one: Usage, other: Partial<Usage>): Usage {
  return Object.fromEntries(quotaNames.map((name) => [name, (one[name] ?? 0) + (other[name] ?? 0)])) as Usage;
}

const words: Readonly<Record<QuotaName, string>> = {
  vms: 'VMs',
  vcpus: 'vCPUs',
  memoryBytes: 'bytes of memory',
  diskBytes: 'bytes of disk',
  snapshots: 'snapshots',
  networks: 'networks',
  forwards: 'port forwards',
};

/** Why it does not fit, in a sentence; null: it does. */
export function overQuota(project: string, quotas: Quotas, used: Usage, adds: Partial<Usage>): string | null {
  for (const name of quotaNames) {
    const limit = quotas[name];
    const more = adds[name] ?? 0;
    const now = used[name] ?? 0;
    if (limit === null || more <= 0 || now + more <= limit) continue;
    return `the project ${project} may have ${limit} ${words[name]}, has ${now} and would need ${more} more`;
  }
  return null;
}

/** @throws over_quota */
export function checkQuota(project: string, quotas: Quotas, used: Usage, adds: Partial<Usage>): void {
  const why = overQuota(project, quotas, used, adds);
  if (why !== null) throw new VivError('over_quota', `${why}. Remove something, or ask an administrator: viv project set ${project}`);
}
