// What QEMU tells by itself: the guest shut down, panicked, was reset; the host's disk is full; the process ended.
import { diskProblem } from '../qemu/command.ts';
import { lastWords } from '../qemu/process.ts';
import type { Live } from './live.ts';
import type { Machine } from './runner.ts';

/** Listens for as long as the live part is the machine's. */
export function listen(machine: Machine, live: Live): void {
  let shutdown: { guest: boolean; reason: string } | null = null;
  let panicked = false;
  const { qmp, process } = live;
  const mine = () => machine.live === live;
  const note = (what: string, message: string) => machine.tell({ type: 'event', machine, what, message });
  const failed = (error: unknown) => note('problem', `its state could not be recorded: ${(error as Error).message}`);

  qmp.on('SHUTDOWN', (data) => {
    shutdown = { guest: data['guest'] === true, reason: String(data['reason'] ?? '') };
  });
  qmp.on('RESET', (data) => {
    live.forgetAgent();
    if (data['guest'] === true) note('reset', 'the guest reset itself');
  });
  qmp.on('GUEST_PANICKED', () => {
    panicked = true;
    note('panicked', 'the guest’s kernel panicked');
  });
  const stopped = async () => {
    const running = () => mine() && machine.record.state === 'running' && !machine.ending;
    if (!running()) return;
    const problem = await diskProblem(qmp);
    if (!problem || !running()) return; // asked for: whoever asked records it
    live.starved = problem.full;
    const reason = stoppedBy(problem, machine.name);
    await machine.setState('paused', reason);
    note('paused', reason.message);
  };
  qmp.on('RESUME', () => {
    live.starved = false;
  });
  qmp.on('STOP', () => void stopped().catch((error: unknown) => mine() && failed(error)));

  void process.exited.then(async (exit) => {
    if (!mine() || machine.ending) return;
    machine.live = null;
    live.end();
    const words = await lastWords(machine.paths.qemuLog, process.logOffset);
    const end = ending({ shutdown, panicked, words, exit });
    await machine
      .update(() => ({
        state: end.failed && !panicked ? 'broken' : 'stopped',
        stateReason: { code: end.code, message: end.message, at: Date.now() },
      }))
      .catch(failed);
    machine.tell({ type: 'ended', machine, failed: end.failed, message: end.message });
  });
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
export function ending(heard: { shutdown: { guest: boolean; reason: string } | null; panicked: boolean; words: string; exit: Exit }) {
  const { shutdown, panicked, words, exit } = heard;
  if (panicked) return { failed: true, code: 'guest_panic', message: 'the guest’s kernel panicked' } as const;
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
