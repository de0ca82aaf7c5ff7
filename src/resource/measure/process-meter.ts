// The CPU time and resident memory of one QEMU process. Two files of /proc a second for a VM with one vCPU: its stat, and the vCPU
// thread's schedstat. The threads are looked for when it begins, and again now and then (vCPUs are hot-plugged).
import { ProcFile, threadsOf } from '../../host/file/proc-file.ts';
import { isVcpuThread, parseSchedstat, parseStat } from './proc.ts';

const lookForThreadsEveryMs = 30_000;
/** QEMU starts its vCPUs' threads a moment after itself. */
const lookSoonMs = 1000;

export interface ProcessCounters {
  /** Of vCPU threads, since QEMU was started. Absent where no such thread was found. */
  readonly vcpuSeconds?: number;
  /** For which vCPU threads were ready to run and had no CPU. */
  readonly stealSeconds?: number;
  /** Of all other threads of QEMU. */
  readonly emulatorSeconds?: number;
  readonly residentBytes: number;
}

interface Thread {
  readonly file: ProcFile;
  run: number;
  wait: number;
  gone: boolean;
}

export class ProcessMeter {
  readonly pid: number;
  readonly #stat: ProcFile;
  readonly #vcpus = new Map<number, Thread>();
  #lookAt = 0;
  /** The largest figure so far: the process's time is counted in hundredths of a second, its threads' in nanoseconds. */
  #emulator = 0;

  constructor(pid: number) {
    this.pid = pid;
    this.#stat = new ProcFile(`/proc/${pid}/stat`);
  }

  /** Null: it has ended. @param now ms, of a clock that never steps back */
  read(now: number): ProcessCounters | null {
    const text = this.#stat.read();
    const stat = text === null ? null : parseStat(text);
    if (stat === null) return null;
    if (now >= this.#lookAt) this.#look(now);
    let vcpu = 0;
    let steal = 0;
    // A thread that has ended (a vCPU was unplugged) keeps what it used: counters do not shrink.
    for (const thread of this.#vcpus.values()) {
      if (!thread.gone) refresh(thread);
      vcpu += thread.run;
      steal += thread.wait;
    }
    if (this.#vcpus.size === 0) return { residentBytes: stat.residentBytes };
    this.#emulator = Math.max(this.#emulator, Math.round((stat.cpuSeconds - vcpu) * 1000) / 1000);
    return { vcpuSeconds: vcpu, stealSeconds: steal, emulatorSeconds: this.#emulator, residentBytes: stat.residentBytes };
  }

  close(): void {
    this.#stat.close();
    for (const { file } of this.#vcpus.values()) file.close();
  }

  #look(now: number): void {
    for (const { id, name } of threadsOf(this.pid)) {
      if (isVcpuThread(name) && !this.#vcpus.has(id))
        this.#vcpus.set(id, { file: new ProcFile(`/proc/${this.pid}/task/${id}/schedstat`), run: 0, wait: 0, gone: false });
    }
    this.#lookAt = now + (this.#vcpus.size === 0 ? lookSoonMs : lookForThreadsEveryMs);
  }
}

function refresh(thread: Thread): void {
  const text = thread.file.read();
  const times = text === null ? null : parseSchedstat(text);
  thread.gone = times === null;
  if (times === null) return;
  thread.run = times.runSeconds;
  thread.wait = times.waitSeconds;
}
