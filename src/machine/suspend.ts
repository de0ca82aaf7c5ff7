// Suspend to disk: the guest's memory and devices go into one file of the machine's, and its process ends.
import { open, rm } from 'node:fs/promises';
import type { Progress } from '../contract/task.ts';
import { cont, queryStatus, saveState, stop as stopCpus, stopSaving } from '../qemu/command.ts';
import { findProcess } from '../qemu/process.ts';
import { makeOwnFile } from './files.ts';
import type { Machines } from './machines.ts';
import { reconcile } from './reconcile.ts';
import type { Machine } from './runner.ts';
import { endProcess, letGo } from './start.ts';

/** Saves the state with the CPUs stopped. Repeatable: a state that QEMU has already written completely is left. */
export async function save(machine: Machine, signal: AbortSignal, progress: (progress: Progress) => void): Promise<void> {
  if (machine.record.state === 'suspended') return;
  const { qmp } = machine.alive();
  // A guest that a full disk has stopped would be let go on as soon as there is room.
  machine.alive().starved = false;
  if (machine.record.state === 'paused' && machine.record.stateReason) await machine.setState('paused', null);
  await stopSaving(qmp);
  const { status } = await queryStatus(qmp);
  if (status !== 'postmigrate') {
    await stopCpus(qmp);
    await makeOwnFile(machine.paths.suspendState, machine.record);
    await saveState(qmp, machine.paths.suspendState, {
      signal,
      onProgress: (done, total) => progress({ message: `saving the memory of ${machine.name}`, done, total, unit: 'bytes' }),
    });
  }
  await makeDurable(machine.paths.suspendState);
}

/** Its process is ended next, and then the file is all there is of the guest's memory. */
async function makeDurable(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Lets the guest go on as if nothing had been; where its process has ended already, it stays suspended. Repeatable. */
export async function unsave(machine: Machine, machines: Machines): Promise<void> {
  const process = await findProcess(machines.marker(machine.id), machine.paths.process);
  if (!process && machine.record.state === 'suspended') return;
  machine.ending = false;
  if (process && machine.live) {
    await stopSaving(machine.live.qmp);
    await cont(machine.live.qmp);
  }
  await reconcile(machine, machines);
  if (process && machine.record.state !== 'running') await machine.setState('running', null);
  await rm(machine.paths.suspendState, { force: true });
}

/** Ends the process and records `suspended`. Repeatable. */
export async function endSuspended(machine: Machine, machines: Machines): Promise<void> {
  const process = machine.live?.process ?? (await findProcess(machines.marker(machine.id), machine.paths.process));
  if (machine.record.state !== 'suspended') await machine.setState('suspended', null);
  machine.ending = true;
  try {
    if (process) await endProcess(process);
    letGo(machine);
    await rm(machine.paths.run, { recursive: true, force: true });
  } finally {
    machine.ending = false;
  }
}
