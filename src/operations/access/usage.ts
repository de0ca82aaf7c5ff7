// What a project uses, and what a request would add, for its quotas.
import { addUsage, noUsage } from '../../access/project/quota.ts';
import type { Usage } from '../../contract/project.ts';
import type { VmRecord } from '../../vm/record.ts';
import type { Known } from './objects.ts';

type Fields = Record<string, unknown>;

function ofVm({ settings, disks }: VmRecord): Partial<Usage> {
  const own = disks.filter(({ kind }) => kind === 'root' || kind === 'data');
  const diskBytes = own.reduce((sum, disk) => sum + disk.sizeBytes, 0);
  return { vms: 1, vcpus: settings.cpus, memoryBytes: settings.memoryBytes, diskBytes };
}

/** VMs that are still being made count as well, so that of two requests at once the second sees the first. */
export function usageOf(project: string, { vms, snapshots, networks }: Known): Usage {
  const owned = vms.all().filter(({ record }) => record.project === project);
  const ids = new Set(owned.map(({ id }) => id));
  const records = owned.map(({ record }) => ofVm(record));
  return records.reduce<Usage>(addUsage, {
    ...noUsage,
    snapshots: snapshots.all().filter(({ vm, kind }) => kind === 'snapshot' && ids.has(vm)).length,
    networks: networks.records.all().filter((record) => record.project === project).length,
    forwards: networks.forwards.records.all().filter(({ vm }) => ids.has(vm)).length,
  });
}

/** What a resolved request adds to the project; null: nothing that is counted. */
export async function addedBy(operation: string, input: Fields, known: Known): Promise<{ project: string; adds: Partial<Usage> } | null> {
  const { vms, access } = known;
  const vm = typeof input['vm'] === 'string' ? vms.byId(input['vm']) : undefined;
  const project = typeof input['project'] === 'string' ? access.projects.byName(input['project'])?.id : vm?.record.project;
  if (project === undefined || project === null) return null;
  const number = (field: string) => input[field] as number | undefined;
  switch (operation) {
    case 'vm.create':
    case 'vm.run': {
      const image = await known.images.find(input['image'] as string);
      const disk = number('diskBytes') ?? image.virtualBytes;
      const forwards = ((input['forwards'] as unknown[]) ?? []).length;
      return {
        project,
        adds: {
          vms: 1,
          vcpus: number('cpus') ?? 1,
          memoryBytes: number('memoryBytes') ?? image.defaults.memoryBytes,
          diskBytes: disk,
          forwards,
        },
      };
    }
    case 'vm.fork': {
      if (!vm) return null;
      const count = number('count') ?? 1;
      const each = ofVm(vm.record);
      return { project, adds: Object.fromEntries(Object.entries(each).map(([name, amount]) => [name, amount * count])) };
    }
    case 'vm.set': {
      if (!vm) return null;
      const { cpus, memoryBytes } = vm.record.settings;
      const root = vm.record.disks.find(({ kind }) => kind === 'root')?.sizeBytes ?? 0;
      return {
        project,
        adds: {
          vcpus: (number('cpus') ?? cpus) - cpus,
          memoryBytes: (number('memoryBytes') ?? memoryBytes) - memoryBytes,
          diskBytes: (number('diskBytes') ?? root) - root,
        },
      };
    }
    case 'snapshot.create':
      return { project, adds: { snapshots: 1 } };
    case 'forward.add':
      return { project, adds: { forwards: (input['forwards'] as unknown[]).length } };
    case 'network.create':
      return { project, adds: { networks: 1 } };
    default:
      return null;
  }
}
