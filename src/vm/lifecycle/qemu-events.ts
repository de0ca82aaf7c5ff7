// What QEMU tells by itself: the guest shut down, panicked, was reset; the host's disk is full; the process ended.
import { rmSync } from 'node:fs';
import { diskProblem, quit } from '../../qemu/command.ts';
import { lastWords } from '../../qemu/process.ts';
import type { Heard, VmRuntime } from '../runtime.ts';
import type { Vm } from '../vm.ts';
import { hearLastWords, panicReason } from './panic.ts';
import { recordEnd } from './record-exit.ts';

/** Listens for as long as the live part is the VM's. */
export function listen(vm: Vm, live: VmRuntime): void {
  const { qmp, process, heard } = live;
  const mine = () => vm.live === live;
  const note = (what: string, message: string) => vm.report(`vm.${what}`, message);
  const failed = (error: unknown) => note('problem', `its state could not be recorded: ${(error as Error).message}`);

  qmp.on('SHUTDOWN', (data) => {
    // The first: letting QEMU go tells of a shutdown by the host.
    heard.shutdown ??= { guest: data['guest'] === true, reason: String(data['reason'] ?? '') };
    if (data['guest'] === true) void letGoOfGuest(live);
  });
  qmp.on('RESET', (data) => {
    live.forgetAgent();
    if (data['guest'] === true) note('reset', 'the guest reset itself');
  });
  qmp.on('GUEST_PANICKED', () => {
    if (heard.panicked) return; // it said so again
    panicked(vm, live, panicReason.message);
  });
  const stopped = async () => {
    const running = () => mine() && vm.record.state === 'running' && !vm.ending && !heard.shutdown && !heard.panicked;
    if (!running()) return;
    const problem = await diskProblem(qmp);
    if (!problem || !running()) return; // asked for: whoever asked records it
    live.pausedByFullDisk = problem.full;
    vm.changed();
    const reason = stoppedBy(problem, vm.name);
    await vm.setState('paused', reason);
    note('paused', reason.message);
  };
  qmp.on('RESUME', () => {
    live.pausedByFullDisk = false;
    vm.changed();
  });
  qmp.on('STOP', () => void stopped().catch((error: unknown) => mine() && failed(error)));

  void process.exited.then(async (exit) => {
    if (!mine() || vm.ending) return;
    vm.live = null;
    live.end();
    rmSync(vm.paths.run, { recursive: true, force: true }); // at once: nothing else can have begun to use it yet
    const words = await lastWords(vm.paths.qemuLog, process.logOffset);
    const end = ending({ ...heard, words, exit });
    const at = Date.now();
    const told = () => vm.reportEnd(end.failed, end.message);
    const state = end.failed && !heard.panicked ? 'broken' : 'stopped';
    await recordEnd(vm, () => ({ state, stateReason: { code: end.code, message: end.message, occurredAt: at } }), told).catch(
      (error: unknown) => {
        failed(error);
        told();
      },
    );
  });
}

function panicked(vm: Vm, live: VmRuntime, message: string): void {
  live.heard.panicked = true;
  vm.report('vm.panicked', message);
  void hearLastWords(vm, live).then(() => letGoOfGuest(live));
}

const quitDeadlineMs = 10_000;

/** QEMU stays when its guest has ended; now that this is known, it may go. */
async function letGoOfGuest({ qmp, process }: VmRuntime): Promise<void> {
  const timer = setTimeout(() => void process.kill().catch(() => {}), quitDeadlineMs);
  await quit(qmp).catch(() => {}); // it has gone already, or will be ended by the timer
  await process.exited;
  clearTimeout(timer);
}

/** For a QEMU that is taken up: its guest may have ended while no daemon was listening. `status` is QEMU's. */
export function hearStatus(vm: Vm, live: VmRuntime, status: string): void {
  if (status === 'guest-panicked') {
    panicked(vm, live, `${panicReason.message} while the daemon was away`);
    return;
  }
  // The daemon before this one was hearing its last words.
  if (status === 'running' && vm.record.stateReason?.code === panicReason.code) live.heard.panicked = true;
  else if (status === 'shutdown') live.heard.shutdown = { guest: true, reason: 'guest-shutdown' };
  else return;
  void letGoOfGuest(live);
}

/** Why a disk has stopped it. */
export function stoppedBy({ full, device }: { full: boolean; device: string }, name: string) {
  if (full) return { code: 'host_disk_full', message: 'the host’s disk is full; it goes on by itself when there is room again' } as const;
  return {
    code: 'disk_error',
    message: `a disk of the host failed under it (${device}); see: viv logs ${name} --source qemu`,
  } as const;
}

type Exit = { code: number | null; signal: string | null } | null;

/** Why it ended, from what was heard. Pure. `exit` is null where the process was not our child. */
export function ending(heard: Heard & { words: string; exit: Exit }) {
  const { shutdown, panicked, words, exit } = heard;
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
