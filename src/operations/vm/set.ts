// `vm.set`: changes settings and says what applies now and what at the next start.
import { sizeText } from '../../contract/bound.ts';
import { VivError } from '../../contract/errors.ts';
import { mergeResources, type ResourceSettings } from '../../contract/resource.ts';
import { parseSnapshotPolicy } from '../../contract/snapshot-policy.ts';
import { growRootDisk } from '../../vm/device/resize-root-disk.ts';
import { checkTpm } from '../../vm/device/tpm.ts';
import type { DiskRecord, Settings } from '../../vm/record.ts';
import { applyChange, checkChange, splitResources } from '../../vm/resource/change.ts';
import { withCdroms } from '../../vm/spec.ts';
import { pending, type Vm } from '../../vm/vm.ts';
import type { HandlerOf } from '../handler.ts';
import { onVm } from './one.ts';
import { snapshotBefore } from './snapshot-before.ts';

interface Setting {
  id: string;
  name: string;
  settings: Partial<Settings>;
  resources: Partial<ResourceSettings>;
  diskBytes: number | null;
  cdroms: DiskRecord[] | null;
  changed: string[];
}

const { before, after } = snapshotBefore<Setting>({
  what: 'set',
  when: ({ diskBytes, cdroms }) => diskBytes !== null || cdroms !== null,
  processStays: true,
});

export const handler: HandlerOf<'vm.set'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, diskBytes, cdroms, snapshotPolicy, ...rest }, { services }): Promise<Setting> => {
    const vm = services.vms.find(vmRef);
    const { resources, rest: plain } = splitResources(rest);
    const settings: Partial<Settings> = {
      ...plain,
      ...(snapshotPolicy === undefined ? {} : { snapshotPolicy: parseSnapshotPolicy(snapshotPolicy) }),
    };
    const changed = [
      ...Object.keys(settings),
      ...Object.keys(resources),
      ...(diskBytes === undefined ? [] : ['diskBytes']),
      ...(cdroms === undefined ? [] : ['cdroms']),
    ];
    if (changed.length === 0) throw new VivError('invalid', `nothing to set; say what, for example: viv set ${vm.name} memory=1GiB`);
    check(vm, diskBytes ?? null, cdroms ?? null);
    await checkChange(vm, settings, resources, services);
    if (rest.tpm) await checkTpm(vm.name, vm.record.arch);
    return {
      id: vm.id,
      name: vm.name,
      settings,
      resources,
      diskBytes: diskBytes ?? null,
      cdroms: cdroms === undefined ? null : await cdromsFrom(cdroms, services.images),
      changed,
    };
  },
  // What was before it in the queue may have suspended the VM or grown its disk.
  admit: async ({ id, settings, resources, diskBytes, cdroms }: Setting, services) => {
    const vm = services.vms.get(id);
    check(vm, diskBytes, cdroms);
    await checkChange(vm, settings, resources, services);
    return 'accept';
  },
  steps: [
    ...before,
    {
      name: 'grow the root disk',
      run: async ({ id, diskBytes }, { services }) => {
        if (diskBytes === null) return;
        await growRootDisk(services.vms.get(id), diskBytes);
      },
    },
    {
      name: 'record the settings',
      run: ({ id, settings, resources, cdroms }, { services }) =>
        services.vms.get(id).update((record) => ({
          settings: { ...record.settings, ...settings, resources: mergeResources(record.settings.resources, resources) },
          disks: cdroms === null ? record.disks : withCdroms(record.disks, cdroms),
        })),
    },
    {
      name: 'apply limits',
      run: ({ id }, { services, signal }) => applyChange(services.vms.get(id), services, signal),
    },
    ...after,
  ],
  output: async ({ id, changed }: Setting, services) => {
    const vm = services.vms.get(id);
    const waiting = vm.live || vm.record.state === 'suspended' ? pending(vm.record) : [];
    return {
      vm: vm.view(null),
      applied: changed.filter((name) => !waiting.includes(name)),
      atNextStart: changed.filter((name) => waiting.includes(name)),
    };
  },
};

/** @throws what does not fit the VM as it is */
function check(vm: Vm, diskBytes: number | null, cdroms: unknown): void {
  if (diskBytes !== null) checkGrowth(vm, diskBytes);
  if (cdroms !== null && vm.record.state === 'suspended')
    throw new VivError('wrong_state', `${vm.name} is suspended, and its saved memory knows the CDs it had; start it first`);
}

function checkGrowth(vm: Vm, diskBytes: number): void {
  const root = vm.record.disks.find((disk) => disk.id === 'root');
  if (!root) throw new VivError('invalid', `${vm.name} has no disk of its own to resize`);
  if (diskBytes < root.sizeBytes)
    throw new VivError(
      'invalid',
      `the disk of ${vm.name} has ${sizeText(root.sizeBytes)}; it can only grow, because shrinking would cut off what the guest has written`,
    );
  if (vm.record.state === 'suspended')
    throw new VivError('wrong_state', `${vm.name} is suspended, and its saved memory knows the old size; start it first`);
}

async function cdromsFrom(
  names: readonly string[],
  images: { find(ref: string): Promise<{ digest: string; isoFile: string | null; virtualBytes: number }> },
): Promise<DiskRecord[]> {
  return Promise.all(
    names.map(async (name, index) => {
      const { digest, isoFile, virtualBytes } = await images.find(name);
      if (isoFile === null) throw new VivError('invalid', `${name} is not an ISO image, so it cannot be put into a CD drive`);
      return { id: `cd${index}`, kind: 'cdrom', file: isoFile, format: 'raw', sizeBytes: virtualBytes, backing: null, digest } as const;
    }),
  );
}
