// Suspend to disk: the machine is frozen as for a point, stands still while its memory is written, and its process ends. It sleeps at that
// point, which is nobody else's to see. A process whose memory is not in layers (a host without the library that maps them) writes
// memory and devices into one file of the machine's instead.
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Progress } from '../../contract/task.ts';
import { makeDurable } from '../../host/durable.ts';
import { cont, pausedAgain, queryStatus, stop as stopCpus } from '../../qemu/command.ts';
import type { QmpConnection } from '../../qemu/qmp.ts';
import { saveState, stopSaving } from '../../qemu/state.ts';
import { recordSums } from '../../snapshot/check-files.ts';
import { type Freezing, freeze, planPoint } from '../capture/capture.ts';
import { stopFlattening } from '../capture/flatten-chain.ts';
import { writeMemory } from '../capture/write-memory.ts';
import { makeOwnFile } from '../files.ts';
import type { Machines } from '../registry.ts';
import type { Machine } from '../vm.ts';
import { reconcile } from './reconcile-record.ts';
import { endQemu } from './stop.ts';

/** An end that was not our child's is noticed within 2 s (qemu/process.ts). */
const newsDeadlineMs = 5000;

/** What it will sleep at; null: a file of its own. Nothing changes yet. */
export function planSleep(machine: Machine, machines: Machines): Freezing | null {
  if (!existsSync(machine.paths.memory)) return null;
  return planPoint(machine, machines, { kind: 'suspend', label: null, memory: true, template: false, auto: null });
}

/** Saves the state with the CPUs stopped. Repeatable: a state that is complete already is left. */
export async function save(
  machine: Machine,
  machines: Machines,
  freezing: Freezing | null,
  signal: AbortSignal,
  progress: (progress: Progress) => void,
): Promise<void> {
  if (machine.record.state === 'suspended') return;
  const live = machine.alive();
  const { qmp } = live;
  // A guest that a full disk has stopped would be let go on as soon as there is room. It is one that runs, as far as its user
  // knows, and is let go on should this fail; one that was paused is not.
  if (live.starved && machine.record.state === 'paused') await machine.setState('running', null);
  const onProgress = (done: number, total: number) =>
    progress({ message: `saving the memory of ${machine.name}`, done, total, unit: 'bytes' });
  if (freezing) {
    await freeze(machine, machines, freezing, true, { goOn: false });
    await recordSums(machines, freezing.point.id);
    await writeMemory(machines, freezing.point.id, signal, onProgress);
    return machines.host.pointMade();
  }
  live.starved = false;
  await stopFlattening(machine);
  await stopSaving(qmp);
  const { status } = await queryStatus(qmp);
  live.standing = true;
  if (status !== 'postmigrate') {
    await stopCpus(qmp);
    await makeOwnFile(machine.paths.suspendState, machine.record);
    await saveState(qmp, machine.paths.suspendState, { signal, onProgress });
  }
  // Its process is ended next, and then the file is all there is of the guest's memory.
  await makeDurable(machine.paths.suspendState);
}

/** Lets the guest go on as if nothing had been; where its process has ended already, it stays suspended. Repeatable. */
export async function unsave(machine: Machine, machines: Machines, freezing: Freezing | null): Promise<void> {
  const process = await machines.processes.of(machine);
  if (!process && machine.record.state === 'suspended') return;
  machine.ending = false;
  const { live } = machine;
  // Its process ended by itself: that is news, which says why and is followed up (news.ts). Its words may be being read in this moment.
  const told = () => machine.record.state !== 'running' && machine.record.state !== 'paused';
  if (!process) await machine.until(told, AbortSignal.timeout(newsDeadlineMs)).catch(() => {});
  if (process && live) {
    await stopSaving(live.qmp);
    live.standing = false;
    await goOn(live.qmp, machine.record.state === 'paused');
  }
  await reconcile(machine, machines);
  if (process && machine.record.state !== 'running' && machine.record.state !== 'paused') await machine.setState('running', null);
  if (freezing && machine.record.wakeFrom === freezing.point.id) await machine.update(() => ({ wakeFrom: null }));
  await rm(machine.paths.suspendState, { force: true });
}

async function goOn(qmp: QmpConnection, paused: boolean): Promise<void> {
  if (!paused) await cont(qmp);
  else if ((await queryStatus(qmp)).status === 'postmigrate') await pausedAgain(qmp);
}

/** Records `suspended` and ends the process. Repeatable. */
export async function endSuspended(machine: Machine, machines: Machines, freezing: Freezing | null): Promise<void> {
  machine.ending = true; // what is saved is all that counts now: an end of its own is no news any more
  try {
    const wakeFrom = freezing?.point.id ?? null;
    if (machine.record.state !== 'suspended') await machine.update(() => ({ state: 'suspended', stateReason: null, wakeFrom }));
    await endQemu(machine, machines);
  } finally {
    machine.ending = false;
  }
}
