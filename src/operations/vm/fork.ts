// `vm.fork`: machines that go on from where another one is, or was at one of its points. It goes on itself; each of them is
// somebody of its own before it answers. With `full` they are stopped machines of copies instead (machine/clone.ts).
import { VivError } from '../../contract/errors.ts';
import type { Vm } from '../../contract/vm.ts';
import { machineIdentity } from '../../host/identity.ts';
import { checkPoint, checkWaking } from '../../snapshot/check-files.ts';
import type { HandlerOf, TaskContext } from '../../task/handler.ts';
import { dropPoint, type Freezing, freeze, hasMemory, planPoint, preparePoint } from '../../vm/capture/capture.ts';
import { flattenMeanwhile } from '../../vm/capture/flatten-chain.ts';
import type { PointRecord } from '../../vm/capture/snapshot-record.ts';
import { decide } from '../../vm/decide.ts';
import { idWithOwnMacs } from '../../vm/device/nics.ts';
import { removeFiles } from '../../vm/files.ts';
import { childRecord, makeChildFiles, newcomer } from '../../vm/fork/fork-record.ts';
import { checkCloneRoom, cloneRecord, makeClone, type Origin, originNow, removeCloneLayers } from '../../vm/fork/full-clone.ts';
import { checkMemory, checkStart, startProcess } from '../../vm/lifecycle/start.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import type { MachineRecord } from '../../vm/record.ts';
import { type Machines, nameTaken } from '../../vm/registry.ts';
import type { Machine } from '../../vm/vm.ts';
import type { Services } from '../services.ts';
import { type OnMachine, onMachine } from './one.ts';

interface Forking extends OnMachine, Partial<Plan> {
  /** Id of the point; null: from its present state. */
  from: string | null;
  count: number;
  pattern: string | null;
  full: boolean;
  /** What their TPM keeps is the other's, or nothing yet. Undefined: of a task from before there was a choice. */
  tpm?: 'copy' | 'replace';
  removeOnStop: boolean;
}

/** Made when its turn has come: what was before it in the queue has put new files under the machine, or taken the names. */
interface Plan {
  /** Null: from a point that is there. */
  freezing: Freezing | null;
  memory: boolean;
  /** Null: a full clone from its present state needs none. */
  point: string | null;
  children: { id: string; name: string; uid: number | null; createdAt: number }[];
}

/** Started at a time: more only wait for each other's processors. */
const atOnce = 4;

const pointOf = ({ point }: Forking, { machines }: Services): PointRecord => machines.points.get(point ?? '');

/** What a full clone is copied from. Nobody changes it meanwhile: what could waits in the machine's queue. */
function originOf({ id, from }: Pick<Forking, 'id' | 'from'>, machines: Machines): Origin {
  if (from === null) return originNow(machines.get(id).record, machines.host);
  const { machine } = machines.points.get(from);
  return { machine, vars: machine.vars, tpm: machines.host.paths.point(from).tpm };
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
  ...onMachine,
  prepare: async ({ vm, point: ref, count, name, full, tpm, removeOnStop }, { services: { machines } }): Promise<Forking> => {
    const machine = machines.find(vm);
    const from = ref === undefined ? null : machines.points.find(machine, ref).id;
    if (from === null) decide('fork', machine.record);
    const state = { id: machine.id, name: machine.name, from, count, pattern: name ?? null, full, tpm, removeOnStop };
    await checkForking(state, machines);
    if (planned(state, machines).memory)
      await checkMemory(`${machine.name} with ${count} more`, 0, count, machines, 'stop another machine or make fewer');
    return state;
  },
  admit: async ({ id, from }: Forking, { machines }) => (from === null ? decide('fork', machines.get(id).record) : 'accept'),
  steps: [
    {
      name: 'plan it',
      run: async (state: Forking, { services: { machines } }) => {
        await checkForking(state, machines);
        return planned(state, machines);
      },
    },
    {
      name: 'prepare a point',
      run: async (state: Forking, { services: { machines } }) => {
        const { id, freezing, memory } = state;
        if (memory) expectCards(state, machines);
        if (freezing) await preparePoint(machines.get(id), machines, freezing);
      },
      undo: async ({ id, freezing, children = [] }: Forking, { services: { machines } }) => {
        for (const child of children) if (!machines.byId(child.id)) machines.networks.giveUp(child.id);
        if (freezing) await dropPoint(machines.byId(id), machines, freezing);
      },
    },
    {
      name: 'freeze',
      run: async ({ id, freezing, memory }: Forking, { services: { machines } }) => {
        if (freezing) await freeze(machines.get(id), machines, freezing, memory ?? false);
      },
    },
    {
      name: 'make the machines',
      run: async (state: Forking, context) => {
        const { services, signal } = context;
        const { machines } = services;
        if (state.full) return cloneEach(state, context);
        const point = pointOf(state, services);
        await each(state.children ?? [], async (child) => {
          const machine = await machines.insert(recordOf(point, child, state, services));
          await makeChildFiles(machine.record, point, machines.host, signal, { newTpm: state.tpm === 'replace' });
        });
      },
      undo: (state: Forking, { services: { machines } }) =>
        each(state.children ?? [], async ({ id }) => {
          const machine = machines.byId(id);
          if (machine && state.full) await removeCloneLayers(machine.record, machines.host);
          if (machine) await removeFiles(machine.record, machines.host);
          await machines.drop(id);
        }),
    },
    {
      name: 'start them',
      run: async (state: Forking, context) => {
        if (!state.memory) return;
        await each(state.children ?? [], ({ id }) => startChild(id, context));
      },
      undo: (state: Forking, { services: { machines } }) =>
        each(state.children ?? [], async ({ id }) => {
          const machine = machines.byId(id);
          if (machine) await endNow(machine, machines);
        }),
    },
    {
      name: 'enter them',
      run: async ({ id: parent, children = [], freezing, full }: Forking, { services: { machines, events } }) => {
        for (const { id } of children) {
          const machine = machines.get(id);
          if (machine.record.complete) continue;
          await machine.update(() => ({ complete: true }));
          const message = `${machine.name} was ${full ? 'cloned in full' : 'forked'} from ${machine.record.forkedFrom}`;
          events.record({ type: 'vm.forked', subject: id, name: machine.name, message });
        }
        if (!freezing) return;
        const machine = machines.byId(parent);
        await dropPoint(machine, machines, freezing);
        if (machine) flattenMeanwhile(machine, machines);
      },
    },
  ],
  output: async ({ children = [] }: Forking, { machines }): Promise<Vm[]> => children.map(({ id }) => machines.get(id).view(null)),
};

/** One after the other: each copies as fast as the disk goes. */
async function cloneEach(state: Forking, { services, signal, progress }: TaskContext): Promise<void> {
  const { machines } = services;
  const origin = originOf(state, machines);
  for (const child of state.children ?? []) {
    const record = cloneRecord(origin, child, state.name, machines.host, child.createdAt);
    const clone = await machines.insert({ ...record, settings: { ...record.settings, removeOnStop: state.removeOnStop } });
    await makeClone(origin, clone.record, machines.host, { signal, progress, newTpm: state.tpm === 'replace' });
  }
}

/** Before anything changes. @throws wrong_state, no_space, corrupt, no_accelerator, unsupported */
async function checkForking({ id, from, count, full, tpm }: Forking, machines: Machines): Promise<void> {
  const machine = machines.get(id);
  const point = from === null ? null : machines.points.get(from);
  if (point) await checkPoint(point, machine.name, machines);
  const name = point === null ? machine.name : `${machine.name}@${point.label ?? point.id}`;
  const withMemory = point === null ? hasMemory(machine) : point.memory !== null;
  if (tpm === 'replace') checkNewTpm(name, machine, point, withMemory);
  if (full) {
    if (withMemory) throw noFullClone(name, machine, point);
    return checkCloneRoom(name, originOf({ id, from }, machines), count, machines.host);
  }
  if (withMemory) await checkWaking(`a fork of ${name}`, point?.machine ?? machine.record, machines);
}

/** What a guest has loaded into its TPM would be gone under it. */
function checkNewTpm(name: string, machine: Machine, point: PointRecord | null, withMemory: boolean): void {
  if (!(point?.machine ?? machine.record).settings.tpm)
    throw new VivError('invalid', `${name} has no TPM that could be replaced; leave --tpm out`);
  if (!withMemory) return;
  const why = point === null ? `it is ${machine.record.state}` : 'the point has memory';
  throw new VivError(
    'wrong_state',
    `a fork of ${name} cannot have a new TPM: ${why}, and its guest would go on with keys that the new one does not have; stop it first, or make a point of its disks with: viv snapshot create ${machine.name} LABEL --disks-only --quiesce`,
  );
}

/** Its disks alone would be those of a machine whose power has failed. */
function noFullClone(name: string, machine: Machine, point: PointRecord | null): VivError {
  const why = point === null ? `it is ${machine.record.state}` : 'the point has memory, which a full clone would have to leave behind';
  const first = point === null ? 'stop it first, or make' : 'fork it without --full, or make';
  return new VivError(
    'wrong_state',
    `cannot clone ${name} in full: ${why}; ${first} a point of its disks with: viv snapshot create ${machine.name} LABEL --disks-only --quiesce`,
  );
}

/** @throws name_taken, invalid, not_found */
function planned({ id, from, count, pattern, full }: Forking, machines: Machines): Plan {
  const machine = machines.get(id);
  const point = from === null ? null : machines.points.get(from);
  const memory = point === null ? hasMemory(machine) : point.memory !== null;
  const wish = { kind: 'fork', label: null, memory, template: false, auto: null } as const;
  const freezing = point === null && !full ? planPoint(machine, machines, wish) : null;
  const [uids, macs] = [machines.uids(), machines.macs()];
  const createdAt = Date.now();
  const children = namesOf(machine.name, pattern, count, (taken) => machines.nameTaken(taken)).map((name) => {
    const childId = idWithOwnMacs(macs);
    const uid = machines.host.ownUsers ? machineIdentity(childId, uids) : null;
    if (uid !== null) uids.add(uid);
    return { id: childId, name, uid, createdAt };
  });
  return { freezing, memory, point: from ?? freezing?.point.id ?? null, children };
}

/** Their taps are made while the point is, which takes about as long. */
function expectCards({ id, from, name, children = [] }: Forking, machines: Machines): void {
  const parent = from === null ? machines.get(id).record : machines.points.get(from).machine;
  for (const child of children) machines.networks.expect(newcomer(parent, child, name, child.createdAt));
}

function recordOf(point: PointRecord, child: Plan['children'][number], state: Forking, services: Services): MachineRecord {
  const record = childRecord(point, child, state.name, services.machines.host, child.createdAt);
  return { ...record, settings: { ...record.settings, removeOnStop: state.removeOnStop } };
}

async function startChild(id: string, { services: { machines }, signal }: TaskContext): Promise<void> {
  const machine = machines.get(id);
  if (machine.live) return;
  const { accel } = await checkStart(machine, machines);
  await startProcess(machine, machines, accel, signal);
}

/** @throws name_taken, invalid */
function namesOf(parent: string, pattern: string | null, count: number, taken: (name: string) => boolean): string[] {
  if (pattern !== null && count === 1 && !pattern.includes('{}')) {
    if (taken(pattern)) throw nameTaken(pattern);
    return [pattern];
  }
  const wanted = pattern === null ? `${parent}-{}` : pattern.includes('{}') ? pattern : `${pattern}-{}`;
  const names: string[] = [];
  for (let number = 1; names.length < count; number++) {
    const name = wanted.replaceAll('{}', String(number));
    if (name.length > 63 || !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name))
      throw new VivError('invalid', `${name} is no name for a machine; give --name with {} where the number goes, such as web-{}`);
    if (!taken(name)) names.push(name);
  }
  return names;
}
