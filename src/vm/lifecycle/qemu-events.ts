// Events of QEMU: the guest shut down, panicked or was reset, a disk of the host is full, the process ended.
import { rmSync } from 'node:fs';
import { diskProblem, quit } from '../../qemu/command.ts';
import { lastWords } from '../../qemu/process.ts';
import type { GuestEnd, VmConnection } from '../connection.ts';
import { pauseReason } from '../pause-reason.ts';
import type { Vm } from '../vm.ts';
import { awaitLastOutput, panicReason } from './panic.ts';
import { recordEnd } from './record-exit.ts';

/** Listens for as long as the connection is the VM's. */
export function listen(vm: Vm, live: VmConnection): void {
  const { qmp, process } = live;
  const mine = () => vm.live === live;
  const note = (what: string, message: string) => vm.report(`vm.${what}`, message);
  const failed = (error: unknown) => note('problem', `its state could not be recorded: ${(error as Error).message}`);

  qmp.on('SHUTDOWN', (data) => {
    // The first counts: QEMU reports its own quit as a shutdown by the host.
    live.noteShutdown({ guest: data['guest'] === true, reason: String(data['reason'] ?? '') });
    if (data['guest'] === true) void quitQemu(live);
  });
  qmp.on('RESET', (data) => {
    live.forgetAgent();
    if (data['guest'] === true) note('reset', 'the guest reset itself');
  });
  qmp.on('GUEST_PANICKED', () => {
    if (live.guestEnd.panicked) return; // it said so again
    panicked(vm, live, panicReason.message);
  });
  const stopped = async () => {
    const running = () =>
      mine() && vm.record.state === 'running' && !vm.runtime.isEndExpected && !live.guestEnd.shutdown && !live.guestEnd.panicked;
    if (!running()) return;
    const problem = await diskProblem(qmp);
    if (!problem || !running()) return; // paused on request: the verb records it
    if (problem.full) vm.runtime.fillDisk();
    const reason = pauseReason(problem, vm.name);
    await vm.setState('paused', reason);
    note('paused', reason.message);
  };
  qmp.on('RESUME', () => {
    if (mine()) vm.runtime.resume();
  });
  qmp.on('STOP', () => void stopped().catch((error: unknown) => mine() && failed(error)));

  void process.exited.then(async (exit) => {
    if (!mine() || vm.runtime.isEndExpected) return;
    vm.runtime.disconnect();
    rmSync(vm.paths.run, { recursive: true, force: true }); // at once: nothing else can have begun to use it yet
    const words = await lastWords(vm.paths.qemuLog, process.logOffset);
    const end = ending({ ...live.guestEnd, words, exit });
    const at = Date.now();
    const report = () => vm.reportEnd(end.failed, end.message);
    const state = end.failed && !live.guestEnd.panicked ? 'broken' : 'stopped';
    await recordEnd(vm, () => ({ state, stateReason: { code: end.code, message: end.message, occurredAt: at } }), report).catch(
      (error: unknown) => {
        failed(error);
        report();
      },
    );
  });
}

function panicked(vm: Vm, live: VmConnection, message: string): void {
  live.notePanic();
  vm.report('vm.panicked', message);
  void awaitLastOutput(vm, live).then(() => quitQemu(live));
}

const quitDeadlineMs = 10_000;

/** QEMU does not exit when its guest has ended, so that the reason can be read first. */
async function quitQemu({ qmp, process }: VmConnection): Promise<void> {
  const timer = setTimeout(() => void process.kill().catch(() => {}), quitDeadlineMs);
  await quit(qmp).catch(() => {}); // it has gone already, or will be ended by the timer
  await process.exited;
  clearTimeout(timer);
}

/** For an adopted QEMU: its guest may have ended while no daemon ran. `status` is QEMU's. */
export function applyStatus(vm: Vm, live: VmConnection, status: string): void {
  if (status === 'guest-panicked') {
    panicked(vm, live, `${panicReason.message} while the daemon was away`);
    return;
  }
  // A previous daemon was waiting for the panicked guest's last output.
  if (status === 'running' && vm.record.stateReason?.code === panicReason.code) live.notePanic();
  else if (status === 'shutdown') live.noteShutdown({ guest: true, reason: 'guest-shutdown' });
  else return;
  void quitQemu(live);
}

type Exit = { code: number | null; signal: string | null } | null;

/** Why it ended. Pure. `exit` is null where the process was not a child of this daemon. */
export function ending(end: GuestEnd & { words: string; exit: Exit }) {
  const { shutdown, panicked, words, exit } = end;
  if (panicked) return { failed: true, ...panicReason } as const;
  if (shutdown?.guest) return { failed: false, code: 'guest_shutdown', message: 'the guest shut down' } as const;
  const how =
    shutdown?.reason === 'host-signal'
      ? 'was ended by a signal from outside'
      : exit?.signal
        ? `was killed by ${exit.signal}`
        : exit?.code
          ? `ended with exit code ${exit.code}`
          : 'ended';
  return { failed: true, code: 'qemu_exited', message: `its QEMU process ${how}${words === '' ? '' : `: ${words}`}` } as const;
}
