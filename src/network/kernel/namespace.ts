// The network namespace that all of this home's virtual networks are in (and, for an ordinary user, the user namespace around it). It
// lives as long as a process in it: the holder, `cat` waiting for ever at a named pipe in our folder, which is also how it is told from
// all other processes. It outlives the daemon; the next one finds it again, or makes another holder where only guests were left.
import { mkdir, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { argumentsOf } from '../../host/process-arguments.ts';
import { isProcess, startTicksOf } from '../../host/process-start.ts';
import { runOk } from '../../host/run.ts';
import { endStaying, type Staying, startStaying } from '../../host/state-directory-lock.ts';
import { writeWhole } from '../../host/whole-file.ts';
import type { NetworkPrograms } from '../capability.ts';

const Held = z.object({ pid: z.int().positive(), startTicks: z.int(), namespace: z.string() });
type Held = z.infer<typeof Held>;

/** What fails is told at once; only a host with far too much to do needs as long. */
const deadlineMs = 60_000;

/** A router, without addresses of its own on what it connects, and one that believes nobody's router advertisements. */
const setUp = `
set -e
say() { [ ! -e "$1" ] || echo "$2" >"$1"; }
say /proc/sys/net/ipv4/ip_forward 1
say /proc/sys/net/ipv6/conf/all/forwarding 1
say /proc/sys/net/bridge/bridge-nf-call-iptables 1
say /proc/sys/net/bridge/bridge-nf-call-ip6tables 1
say /proc/sys/net/ipv6/conf/default/accept_ra 0
say /proc/sys/net/ipv6/conf/default/accept_dad 0
say /proc/sys/net/ipv6/conf/all/accept_dad 0
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

  /** Whether it is there; found again where a daemon before this one has made it. */
  async find(): Promise<boolean> {
    if (this.#held && (await isProcess(this.#held.pid, this.#held.startTicks))) return true;
    const recorded = await readFile(this.#file, 'utf8').then(
      (text) => Held.safeParse(JSON.parse(text)).data ?? null,
      () => null,
    );
    this.#held = recorded !== null && (await isProcess(recorded.pid, recorded.startTicks)) ? recorded : await this.#look();
    return this.#held !== null;
  }

  /**
   * Makes it where it is not there. True: it was made, and is empty.
   * @param guests processes that may still be in it although its holder has ended
   */
  async make(guests: readonly number[], signal: AbortSignal): Promise<boolean> {
    if (await this.find()) return false;
    await mkdir(this.#folder, { recursive: true, mode: 0o711 });
    await rm(this.#pipe, { force: true });
    await runOk('mkfifo', ['-m', '600', this.#pipe], { timeoutMs: deadlineMs, signal });
    const left = await this.#leftBy(guests);
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

  /** What goes before a program's words so that it runs inside. */
  enter(): string[] {
    if (!this.#held) throw new Error('there is no namespace to enter');
    return enterWords(this.#programs.nsenter, this.#held.pid, this.#asUser);
  }

  get holder(): Staying | null {
    return this.#held;
  }

  /** Whether this process is in it. */
  async has(pid: number): Promise<boolean> {
    return this.#held !== null && (await readlink(`/proc/${pid}/ns/net`).catch(() => null)) === this.#held.namespace;
  }

  /** Ends the holder; with the last process inside all interfaces go. Repeatable. */
  async end(): Promise<void> {
    if (await this.find()) await endStaying(this.#held as Held);
    this.#held = null;
    await rm(this.#file, { force: true });
    await rm(this.#pipe, { force: true });
  }

  /** A holder that no file tells of: the daemon died as it was made. Anybody may call his process so, and some may be in the host's own namespace. */
  async #look(): Promise<Held | null> {
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

  /** A process that keeps the namespace although its holder has gone. */
  async #leftBy(guests: readonly number[]): Promise<number | null> {
    const before = await readFile(this.#file, 'utf8').then(
      (text) => Held.safeParse(JSON.parse(text)).data?.namespace ?? null,
      () => null,
    );
    if (before === null) return null;
    for (const pid of guests) if ((await readlink(`/proc/${pid}/ns/net`).catch(() => null)) === before) return pid;
    return null;
  }
}

const enterWords = (nsenter: string, pid: number, asUser: boolean): string[] => [
  nsenter,
  ...(asUser ? [`--user=/proc/${pid}/ns/user`, '--preserve-credentials'] : []),
  `--net=/proc/${pid}/ns/net`,
  '--',
];
