// A command whose deadline has passed may still be carried out. From then on the VM is shown as not responding, and QEMU is asked for its
// state until it answers: it answers in order, so its answer tells what became of the command.
import { setTimeout as delay } from 'node:timers/promises';
import { diskProblem, queryStatus } from '../../qemu/command.ts';
import type { QemuProcess } from '../../qemu/process.ts';
import type { VmConnection } from '../connection.ts';
import { pauseReason } from '../pause-reason.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';

/** A check is quick where QEMU answers at all, in ms. */
const checkDeadlineMs = 10_000;
/** Longest deadline that a timer can have, in ms: the answer is awaited until the connection ends. */
const noDeadlineMs = 2 ** 31 - 1;

/** Called when a command was not answered in time. Resolves when QEMU has answered or ended. Never throws. */
export async function awaitAnswer(vm: Vm, connection: VmConnection): Promise<void> {
  if (vm.live !== connection || vm.runtime.notRespondingSince !== null) return;
  vm.runtime.stopResponding(Date.now());
  if (vm.runtime.notRespondingSince === null) return;
  vm.report('vm.stopped-responding', `QEMU of ${vm.name} does not answer; it is asked until it does`);
  try {
    const { status } = await queryStatus(connection.qmp, { timeoutMs: noDeadlineMs });
    if (vm.live !== connection) return;
    vm.runtime.respond();
    await recordStatus(vm, connection, status);
    vm.report('vm.responded', `QEMU of ${vm.name} answers again: the VM is ${vm.state}`);
  } catch (error) {
    if (vm.live === connection) vm.report('vm.problem', `the state of ${vm.name} could not be recorded: ${(error as Error).message}`);
  }
}

/** Makes the record say what QEMU says. @param status QEMU's @param adopted whatever the record said before */
export async function recordStatus(
  vm: Vm,
  { qmp }: VmConnection,
  status: string,
  { adopted = false }: { adopted?: boolean } = {},
): Promise<void> {
  const { record } = vm;
  const problem = await diskProblem(qmp);
  if (problem) {
    if (problem.full) vm.runtime.fillDisk();
    // On a full disk it may not be possible to record it.
    await vm.setState('paused', pauseReason(problem, vm.name)).catch((error: unknown) => vm.report('vm.problem', (error as Error).message));
  } else if (status === 'running' && (record.state === 'paused' || (adopted && record.state !== 'running')))
    await vm.setState('running', null);
  else if (status === 'paused' && record.state === 'running' && !isBusy(vm)) await vm.setState('paused', null);
}

/** A verb has paused the guest and records that itself. */
const isBusy = ({ runtime }: Vm): boolean => runtime.state.is === 'frozen' || runtime.isEndExpected;

/** Asks QEMU for its state, so that a verb decides by that and not by the record. @throws timeout when it does not answer */
export async function refreshState(vm: Vm): Promise<void> {
  const { live } = vm;
  if (!live || vm.runtime.state.is !== 'active') return;
  const { status } = await queryStatus(live.qmp);
  if (vm.live === live) await recordStatus(vm, live, status);
}

/** Notices a QEMU that has stopped answering although nobody has asked it anything. Never throws. */
export async function checkResponding(vm: Vm): Promise<void> {
  if (vm.live && !vm.runtime.isEndExpected) await queryStatus(vm.live.qmp, { timeoutMs: checkDeadlineMs }).catch(() => {});
}

const retryMs = 2000;

/**
 * A process that did not answer when it was to be adopted: adopted as soon as it does.
 * @param adopt throws where it still does not answer
 */
export async function adoptLater(
  vm: Vm,
  process: QemuProcess,
  adopt: () => Promise<void>,
  { log }: Uses<'log'>,
  signal: AbortSignal,
): Promise<void> {
  vm.runtime.stopResponding(Date.now());
  vm.report('vm.stopped-responding', `QEMU of ${vm.name} does not answer; it is asked until it does`);
  const ended = new AbortController();
  void process.exited.then(() => ended.abort());
  const over = AbortSignal.any([ended.signal, signal]);
  while (!over.aborted && vm.live === null && vm.runtime.notRespondingSince !== null) {
    await delay(retryMs, undefined, { ref: false, signal: over }).catch(() => {});
    if (over.aborted || vm.live !== null || vm.runtime.notRespondingSince === null) break;
    try {
      await adopt();
      vm.report('vm.responded', `QEMU of ${vm.name} answers again: the VM is ${vm.state}`);
    } catch (error) {
      log.warn({ vm: vm.name, error }, 'a QEMU still does not answer');
    }
  }
}
