// The network namespace of this state directory's virtual networks (and, for an ordinary user, the user namespace that owns it). The holder keeps it
// alive: a `cat` that waits at a named pipe in the networks' folder, by which it is recognized. The holder outlives the daemon; the next daemon finds it
// again, or starts another one in the same namespace where only other processes are left in it.
import { readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { makeFolder } from '../../host/file/folder.ts';
import { writeWhole } from '../../host/file/whole-file.ts';
import { argumentsOf } from '../../host/process/arguments.ts';
import { endStaying, type Staying, startStaying } from '../../host/process/background.ts';
import { runOk } from '../../host/process/run.ts';
import { isProcess, startTicksOf } from '../../host/process/start-ticks.ts';
import type { NetworkPrograms } from '../capability.ts';

const Held = z.object({ pid: z.int().positive(), startTicks: z.int(), namespace: z.string() });
type Held = z.infer<typeof Held>;

/** Failures are immediate; only an overloaded host needs this long. */
const deadlineMs = 60_000;

/** A router that accepts no router advertisements and does no duplicate address detection. */
const setUp = `
set -e
set_to() { [ ! -e "$1" ] || echo "$2" >"$1"; }
set_to /proc/sys/net/ipv4/ip_forward 1
set_to /proc/sys/net/ipv6/conf/all/forwarding 1
set_to /proc/sys/net/bridge/bridge-nf-call-iptables 1
set_to /proc/sys/net/bridge/bridge-nf-call-ip6tables 1
set_to /proc/sys/net/ipv6/conf/default/accept_ra 0
set_to /proc/sys/net/ipv6/conf/default/accept_dad 0
set_to /proc/sys/net/ipv6/conf/all/accept_dad 0
"$2" link set lo up
echo ready
exec cat "$1" >/dev/null
`;

export class Namespace {
  readonly #folder: string;
  readonly #programs: NetworkPrograms;
  /** Not root: a user namespace as well. */
  readonly #asUser: boolean;
  #held: Held | null = null;

  constructor(folder: string, programs: NetworkPrograms, asUser: boolean) {
    this.#folder = folder;
    this.#programs = programs;
    this.#asUser = asUser;
  }

  get #pipe(): string {
    return join(this.#folder, 'hold');
  }
  get #file(): string {
    return join(this.#folder, 'holder.json');
  }

  /** Whether it exists, made by this daemon or an earlier one. */
  async find(): Promise<boolean> {
    const before = this.#held;
    if (before && (await isProcess(before.pid, before.startTicks))) return true;
    const recorded = await readFile(this.#file, 'utf8').then(
      (text) => Held.safeParse(JSON.parse(text)).data ?? null,
      () => null,
    );
    const found = recorded !== null && (await isProcess(recorded.pid, recorded.startTicks)) ? recorded : await this.#search();
    // Unless ensure() has made another one meanwhile.
    if (this.#held === before) this.#held = found;
    return this.#held !== null;
  }

  /** Creates it where it does not exist. Returns true where it was created and is empty. */
  async ensure(signal: AbortSignal): Promise<boolean> {
    if (await this.find()) return false;
    await makeFolder(this.#folder, 0o711);
    await rm(this.#pipe, { force: true });
    await runOk('mkfifo', ['-m', '600', this.#pipe], { timeoutMs: deadlineMs, signal });
    const left = await this.#survivor();
    const { unshare, nsenter, ip } = this.#programs;
    const words =
      left !== null
        ? enterWords(nsenter, left, this.#asUser)
        : [unshare, ...(this.#asUser ? ['--user', '--map-root-user'] : []), '--net', '--'];
    const [program = unshare, ...args] = [...words, '/bin/sh', '-c', setUp, 'sh', this.#pipe, ip];
    const logFile = join(this.#folder, 'namespace.log');
    const holder = await startStaying(program, args, { timeoutMs: deadlineMs, logFile, signal });
    try {
      this.#held = { ...holder, namespace: await readlink(`/proc/${holder.pid}/ns/net`) };
      await writeWhole(this.#file, JSON.stringify(this.#held), 0o600);
    } catch (error) {
      this.#held = null;
      await endStaying(holder);
      throw error;
    }
    return left === null;
  }

  /** The words before a program's own that run it in the namespace. */
  enter(): string[] {
    if (!this.#held) throw new Error('the namespace does not exist');
    return enterWords(this.#programs.nsenter, this.#held.pid, this.#asUser);
  }

  get holder(): Staying | null {
    return this.#held;
  }

  /** Whether the process is in the namespace. */
  async has(pid: number): Promise<boolean> {
    return this.#held !== null && (await readlink(`/proc/${pid}/ns/net`).catch(() => null)) === this.#held.namespace;
  }

  /** Ends the holder; the kernel removes the interfaces with the last process in the namespace. Repeatable. */
  async end(): Promise<void> {
    if (await this.find()) await endStaying(this.#held as Held);
    this.#held = null;
    await rm(this.#file, { force: true });
    await rm(this.#pipe, { force: true });
  }

  /** A holder that is not in the file, because the daemon died while it was started. Others may give a process the same arguments, so owner and namespace are checked. */
  async #search(): Promise<Held | null> {
    const own = await readlink('/proc/self/ns/net');
    for (const name of await readdir('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const pid = Number(name);
      if ((await argumentsOf(pid)) !== `cat\0${this.#pipe}\0`) continue;
      const startTicks = await startTicksOf(pid);
      const namespace = await readlink(`/proc/${pid}/ns/net`).catch(() => null);
      const owner = await stat(`/proc/${pid}`).catch(() => null);
      if (startTicks === null || namespace === null || namespace === own || owner?.uid !== process.geteuid?.()) continue;
      return { pid, startTicks, namespace };
    }
    return null;
  }

  /** Names of the interfaces in it. */
  async interfaces(): Promise<Set<string>> {
    const text = this.#held === null ? '' : await readFile(`/proc/${this.#held.pid}/net/dev`, 'utf8').catch(() => '');
    return new Set([...text.matchAll(/^\s*([^\s:]+):/gm)].map(([, name = '']) => name));
  }

  /** A process that keeps the namespace although its holder has ended: a dnsmasq, a relay or the flow recorder. */
  async #survivor(): Promise<number | null> {
    const before = await readFile(this.#file, 'utf8').then(
      (text) => Held.safeParse(JSON.parse(text)).data?.namespace ?? null,
      () => null,
    );
    if (before === null) return null;
    for (const pid of await readdir('/proc'))
      if (/^\d+$/.test(pid) && (await readlink(`/proc/${pid}/ns/net`).catch(() => null)) === before) return Number(pid);
    return null;
  }
}

const enterWords = (nsenter: string, pid: number, asUser: boolean): string[] => [
  nsenter,
  ...(asUser ? [`--user=/proc/${pid}/ns/user`, '--preserve-credentials'] : []),
  `--net=/proc/${pid}/ns/net`,
  '--',
];
