// The guest of a started QEMU runs. It is recorded as running before its first instruction: from then on its disks differ from a
// saved memory, and what QEMU reports of it is an event.
import { rm } from 'node:fs/promises';
import { VivError } from '../../contract/errors.ts';
import { findQemu } from '../../qemu/binary.ts';
import { cont, queryStatus } from '../../qemu/command.ts';
import { setNicLink } from '../../qemu/nic.ts';
import { QmpError } from '../../qemu/qmp.ts';
import { flattenMeanwhile } from '../capture/flatten-chain.ts';
import { releaseMeanwhile } from '../confine.ts';
import type { VmConnection } from '../connection.ts';
import { slotsOf } from '../device/nics.ts';
import type { VmRecord } from '../record.ts';
import { beginBalloon, beginLimits } from '../resource/apply.ts';
import type { Uses } from '../services.ts';
import { startBalloon, startDisks, startMachineType, startOffers, startSettings } from '../spec.ts';
import type { Vm } from '../vm.ts';
import { discardSuspendedState } from './discard-suspended-state.ts';

type RunServices = Uses<'vms' | 'snapshots' | 'checks' | 'paths' | 'bootId' | 'resources'>;

/** A daemon that died had recorded the VM as running, but not resumed its guest. Repeatable. */
export async function finishRun(vm: Vm): Promise<void> {
  const { qmp } = vm.alive();
  const { status } = await queryStatus(qmp);
  if (status !== 'prelaunch' && status !== 'paused') return;
  await vm.setState('running', null);
  await cont(qmp);
  await rm(vm.paths.suspendState, { force: true });
}

/** @param status QEMU's @throws qemu_failed; a suspended guest that has not run stays suspended */
export async function runGuest(
  vm: Vm,
  services: RunServices,
  connection: VmConnection,
  accel: 'kvm' | 'tcg',
  status: string,
): Promise<void> {
  const before = vm.record;
  await recordRunning(vm, services, accel);
  vm.runtime.run();
  let ran = true;
  try {
    beginLimits(vm, connection, services);
    if (connection.ended.aborted) {
      ran = status === 'running';
      throw new VivError('qemu_failed', 'QEMU ended at once');
    }
    if (status !== 'running') {
      for (const nic of before.nics) if (!nic.up) await setNicLink(connection.qmp, nic.id, false);
      await cont(connection.qmp);
    }
  } catch (error) {
    // Refused, or not even asked: the guest has not run.
    if ((error instanceof QmpError || !ran) && before.state === 'suspended') await recordSuspended(vm, before);
    throw error;
  }
  beginBalloon(vm, connection);
  await rm(vm.paths.suspendState, { force: true });
  await discardSuspendedState(before, services);
  releaseMeanwhile(vm, services);
  if (before.resumeFrom !== null) flattenMeanwhile(vm, services);
}

async function recordRunning(vm: Vm, { bootId }: Uses<'bootId'>, accelInUse: 'kvm' | 'tcg'): Promise<void> {
  const before = vm.record;
  const machineType = startMachineType(before, (await findQemu(before.arch)).version);
  const settings = startSettings(before);
  await vm.update((record) => ({
    state: 'running',
    stateReason: null,
    desired: 'running',
    resumeFrom: null,
    resumedFromSuspend: record.state === 'suspended',
    startedAt: Date.now(),
    bootId,
    started: {
      ...settings,
      accel: (record.state === 'suspended' ? record.started?.accel : undefined) ?? record.settings.accel,
      accelInUse,
      machineType,
      ...startOffers(record),
      cdroms: startDisks(record)
        .filter((disk) => disk.kind === 'cdrom')
        .map(({ file, digest }) => ({ file, digest })),
      slots: slotsOf(before),
      balloon: startBalloon(before),
    },
  }));
}

async function recordSuspended(vm: Vm, before: VmRecord): Promise<void> {
  const { state, stateReason, desired, resumeFrom, startedAt, bootId, started } = before;
  await vm.update(() => ({ state, stateReason, desired, resumeFrom, startedAt, bootId, started }));
}
