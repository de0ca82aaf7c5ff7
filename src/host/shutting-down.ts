// Whether the host is on its way down. Asked when the daemon is told to end, because it also ends alone, and machines go on then.
import { runProgram } from './run.ts';

const deadlineMs = 10_000;

/** False where no systemd answers (systemctl(1), is-system-running). */
export async function isHostShuttingDown(): Promise<boolean> {
  const told = await runProgram('systemctl', ['is-system-running'], { timeoutMs: deadlineMs }).catch(() => null);
  return told?.stdout.trim() === 'stopping';
}
