// `vm.fork`: VMs that continue from where another one is, or was at one of its snapshots. The parent continues too; each fork has an identity
// of its own before it answers. With `full` they are stopped VMs with copied disks instead (vm/fork/full-clone.ts).

import { VivError } from '../../contract/errors.ts';
import type { Vm as VmInfo } from '../../contract/vm-state.ts';
import { checkResume, checkSnapshot } from '../../snapshot/check-files.ts';
import { dropSnapshot, type Freezing, freeze, hasMemory, planSnapshot, prepareSnapshot } from '../../vm/capture/capture.ts';
import { flattenMeanwhile } from '../../vm/capture/flatten-chain.ts';
import type { SnapshotRecord } from '../../vm/capture/snapshot-record.ts';
import { decide } from '../../vm/decide.ts';
import { vmPorts } from '../../vm/device/port-source.ts';
import { removeFiles } from '../../vm/files.ts';
import { childRecord, makeChildFiles, pendingIdentity } from '../../vm/fork/fork-record.ts';
import { checkCloneRoom, cloneRecord, makeClone, type Origin, originNow, removeCloneLayers } from '../../vm/fork/full-clone.ts';
import { type PlannedFork, planFork } from '../../vm/fork/plan.ts';
import { takenMacs, takenUids } from '../../vm/in-use.ts';
import { checkMemory, checkStart } from '../../vm/lifecycle/check-start.ts';
import { startProcess } from '../../vm/lifecycle/start.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import type { VmRecord } from '../../vm/record.ts';
import { dropVm, insertVm } from '../../vm/register.ts';
import type { Vm } from '../../vm/vm.ts';
import type { HandlerOf, TaskContext } from '../handler.ts';
import type { Services } from '../services.ts';
import { type OnVm, onVm } from './one.ts';

interface Forking extends OnVm, Partial<Plan> {
  /** Id of the snapshot; null: from its present state. */
  from: string | null;
  count: number;
  pattern: string | null;
  full: boolean;
  /** What their TPM keeps is the other's, or nothing yet. Undefined: of a task from before there was a choice. */
  tpm?: 'copy' | 'replace';
  removeOnStop: boolean;
}

/** Planned when the task runs: tasks before it may have changed the overlays, or taken the names. */
interface Plan {
  /** Null: from a snapshot that is there. */
  freezing: Freezing | null;
  memory: boolean;
  /** Null: a full clone from its present state needs none. */
  snapshot: string | null;
  children: PlannedFork[];
}

/** Started at a time: more would only share the same processors. */
const atOnce = 4;

const snapshotOf = ({ snapshot }: Forking, { snapshots }: Services): SnapshotRecord => snapshots.get(snapshot ?? '');

/** What a full clone is copied from. It does not change meanwhile: changes wait in the VM's queue. */
function originOf({ id, from }: Pick<Forking, 'id' | 'from'>, services: Services): Origin {
  if (from === null) return originNow(services.vms.get(id).record, services);
  const { vmRecord: vm } = services.snapshots.get(from);
  return { vm, vars: vm.vars, tpm: services.paths.snapshot(from).tpm };
}

async function each<T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await act(item);
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
}

export const handler: HandlerOf<'vm.fork'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, snapshot: ref, count, name, full, tpm, removeOnStop }, { services }): Promise<Forking> => {
    const vm = services.vms.find(vmRef);
    const from = ref === undefined ? null : services.snapshots.find(vm, ref).id;
    if (from === null) decide('fork', vm);
    const state = { id: vm.id, name: vm.name, from, count, pattern: name ?? null, full, tpm, removeOnStop };
    await checkForking(state, services);
    if (planned(state, services).memory)
      await checkMemory(`${vm.name} with ${count} more`, 0, count, services, 'stop another VM or make fewer');
    return state;
  },
  admit: async ({ id, from }: Forking, { vms }) => (from === null ? decide('fork', vms.get(id)) : 'accept'),
  steps: [
    {
      name: 'plan the forks',
      run: async (state: Forking, { services }) => {
        await checkForking(state, services);
        return planned(state, services);
      },
    },
    {
      name: 'prepare the snapshot',
      run: async (state: Forking, { services }) => {
        const { id, freezing, memory } = state;
        if (memory) expectNics(state, services);
        if (freezing) await prepareSnapshot(services.vms.get(id), services, freezing);
      },
      undo: async ({ id, freezing, children = [] }: Forking, { services }) => {
        for (const child of children) if (!services.vms.byId(child.id)) services.networks.abandon(child.id);
        if (freezing) await dropSnapshot(services.vms.byId(id), services, freezing);
      },
    },
    {
      name: 'take the snapshot',
      run: async ({ id, freezing, memory }: Forking, { services }) => {
        if (freezing) await freeze(services.vms.get(id), services, freezing, memory ?? false);
      },
    },
    {
      name: 'create the VMs',
      run: async (state: Forking, context) => {
        const { services, signal } = context;
        if (state.full) return cloneEach(state, context);
        const snapshot = snapshotOf(state, services);
        await each(state.children ?? [], async (child) => {
          const vm = await insertVm(recordOf(snapshot, child, state, services), services);
          await makeChildFiles(vm.record, snapshot, services, signal, { newTpm: state.tpm === 'replace' });
        });
      },
      undo: (state: Forking, { services }) =>
        each(state.children ?? [], async ({ id }) => {
          const vm = services.vms.byId(id);
          if (vm && state.full) await removeCloneLayers(vm.record, services);
          if (vm) await removeFiles(vm.record, services);
          await dropVm(id, services);
        }),
    },
    {
      name: 'start the VMs',
      run: async (state: Forking, context) => {
        if (!state.memory) return;
        await each(state.children ?? [], ({ id }) => startChild(id, context));
      },
      undo: (state: Forking, { services }) =>
        each(state.children ?? [], async ({ id }) => {
          const vm = services.vms.byId(id);
          if (vm) await endNow(vm, services);
        }),
    },
    {
      name: 'complete the records',
      run: async ({ id: parent, children = [], freezing, full }: Forking, { services }) => {
        for (const { id } of children) {
          const vm = services.vms.get(id);
          if (vm.record.complete) continue;
          await vm.update(() => ({ complete: true }));
          const message = `${vm.name} was ${full ? 'cloned in full' : 'forked'} from ${vm.record.forkedFrom}`;
          services.events.record({ type: 'vm.forked', subject: id, name: vm.name, message });
        }
        if (!freezing) return;
        const vm = services.vms.byId(parent);
        await dropSnapshot(vm, services, freezing);
        if (vm) flattenMeanwhile(vm, services);
      },
    },
  ],
  output: async ({ children = [] }: Forking, { vms }): Promise<VmInfo[]> => children.map(({ id }) => vms.get(id).view(null)),
};

/** One after the other: each copies as fast as the disk goes. */
async function cloneEach(state: Forking, { services, signal, progress }: TaskContext): Promise<void> {
  const origin = originOf(state, services);
  for (const child of state.children ?? []) {
    const record = cloneRecord(origin, child, state.name, services, child.createdAt);
    const clone = await insertVm({ ...record, settings: { ...record.settings, removeOnStop: state.removeOnStop } }, services);
    await makeClone(origin, clone.record, services, { signal, progress, newTpm: state.tpm === 'replace' });
  }
}

/** Before anything changes. @throws wrong_state, no_space, corrupt, no_accelerator, unsupported */
async function checkForking({ id, from, count, full, tpm }: Forking, services: Services): Promise<void> {
  const vm = services.vms.get(id);
  const snapshot = from === null ? null : services.snapshots.get(from);
  if (snapshot) await checkSnapshot(snapshot, vm.name, services);
  const name = snapshot === null ? vm.name : `${vm.name}@${snapshot.label ?? snapshot.id}`;
  const withMemory = snapshot === null ? hasMemory(vm) : snapshot.memory !== null;
  if (tpm === 'replace') checkNewTpm(name, vm, snapshot, withMemory);
  if (full) {
    if (withMemory) throw noFullClone(name, vm, snapshot);
    return checkCloneRoom(name, originOf({ id, from }, services), count, services);
  }
  if (withMemory) await checkResume(`a fork of ${name}`, snapshot?.vmRecord ?? vm.record, services);
}

/** What a guest has loaded into its TPM would be gone under it. */
function checkNewTpm(name: string, vm: Vm, snapshot: SnapshotRecord | null, withMemory: boolean): void {
  if (!(snapshot?.vmRecord ?? vm.record).settings.tpm)
    throw new VivError('invalid', `${name} has no TPM that could be replaced; leave --tpm out`);
  if (!withMemory) return;
  const why = snapshot === null ? `it is ${vm.record.state}` : 'the snapshot has memory';
  throw new VivError(
    'wrong_state',
    `a fork of ${name} cannot have a new TPM: ${why}, and its guest would continue with keys that the new one does not have. Stop it first, or take a snapshot of its disks with: viv snapshot create ${vm.name} LABEL --disks-only --quiesce`,
  );
}

/** Its disks alone would be those of a VM whose power has failed. */
function noFullClone(name: string, vm: Vm, snapshot: SnapshotRecord | null): VivError {
  const why = snapshot === null ? `it is ${vm.record.state}` : 'the snapshot has memory, which a full clone would have to leave behind';
  const first = snapshot === null ? 'stop it first, or take' : 'fork it without --full, or take';
  return new VivError(
    'wrong_state',
    `cannot clone ${name} in full: ${why}; ${first} a snapshot of its disks with: viv snapshot create ${vm.name} LABEL --disks-only --quiesce`,
  );
}

/** @throws name_taken, invalid, not_found */
function planned({ id, from, count, pattern, full }: Forking, services: Services): Plan {
  const vm = services.vms.get(id);
  const snapshot = from === null ? null : services.snapshots.get(from);
  const memory = snapshot === null ? hasMemory(vm) : snapshot.memory !== null;
  const wish = { kind: 'fork', label: null, memory, template: false, auto: null } as const;
  const freezing = snapshot === null && !full ? planSnapshot(vm, services, wish) : null;
  const taken = {
    isNameTaken: (name: string) => services.vms.nameTaken(name),
    uids: services.ownUsers ? takenUids(services) : null,
    macs: takenMacs(services),
  };
  const children = planFork({ parent: vm.name, pattern, count }, taken, Date.now());
  return { freezing, memory, snapshot: from ?? freezing?.snapshot.id ?? null, children };
}

/** Their taps are made while the snapshot is, which takes about as long. */
function expectNics({ id, from, name, children = [] }: Forking, services: Services): void {
  const parent = from === null ? services.vms.get(id).record : services.snapshots.get(from).vmRecord;
  for (const child of children) services.networks.expect(vmPorts(pendingIdentity(parent, child, name, child.createdAt), null));
}

function recordOf(snapshot: SnapshotRecord, child: PlannedFork, state: Forking, services: Services): VmRecord {
  const record = childRecord(snapshot, child, state.name, services, child.createdAt);
  return { ...record, settings: { ...record.settings, removeOnStop: state.removeOnStop } };
}

async function startChild(id: string, { services, signal }: TaskContext): Promise<void> {
  const vm = services.vms.get(id);
  if (vm.live) return;
  const { accel } = await checkStart(vm, services);
  await startProcess(vm, services, accel, signal);
}
