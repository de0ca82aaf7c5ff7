// The networks' dnsmasqs, one each: DHCP, router advertisements and DNS. They outlive the daemon. Addresses are allocated in the store; the files here are
// derived from it and read again at SIGHUP.
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { VivError } from '../../contract/errors.ts';
import { endStaying, findStaying, type Staying } from '../../host/process/background.ts';
import { runProgram } from '../../host/process/run.ts';
import { isProcess } from '../../host/process/start-ticks.ts';
import { fullName } from '../kernel/interface-names.ts';
import type { DnsFiles } from './dnsmasq-config.ts';

interface Serving {
  readonly process: Staying;
  readonly files: DnsFiles;
  /** The MAC address that each address was reserved for, which dnsmasq may still have a lease of. */
  readonly leased: ReadonlyMap<string, string>;
}

const startDeadlineMs = 10_000;

/** All dnsmasqs of a state directory. */
export class Dnsmasqs {
  readonly #folder: string;
  readonly #program: string;
  readonly #serving = new Map<string, Serving>();
  readonly #problems = new Map<string, VivError>();
  /** Files that have been written to their network's folder. */
  readonly #written = new WeakSet<DnsFiles>();

  /** @param folder has one folder for each network */
  constructor(folder: string, program: string) {
    this.#folder = folder;
    this.#program = program;
  }

  folderOf(network: string): string {
    return join(this.#folder, network);
  }

  /** Finds the processes that an earlier daemon has started. */
  async adopt(): Promise<void> {
    for (const network of await readdir(this.#folder).catch(() => [])) {
      const folder = this.folderOf(network);
      const process = await this.#running(folder);
      if (!process) continue;
      const text = (name: string) => readFile(join(folder, name), 'utf8').catch(() => '');
      const [config, hosts, reservations, leased] = await Promise.all(['dnsmasq.conf', 'hosts', 'reservations', 'leased'].map(text));
      const files = { config: config ?? '', hosts: hosts ?? '', reservations: reservations ?? '' };
      this.#serving.set(network, { process, files, leased: reservedIn(leased ?? '') });
    }
  }

  /** Why a network has no DHCP and DNS. */
  problemOf(network: string): VivError | undefined {
    return this.#problems.get(network);
  }

  /** Writes the files of those that do not run yet, which can happen before their bridges exist. apply() does the rest. */
  async prepare(desired: ReadonlyMap<string, DnsFiles>): Promise<void> {
    for (const [name, files] of desired) {
      if (this.#serving.has(name)) continue;
      this.#tryWrite(name, files);
      await setImmediate();
    }
  }

  /** Reconciles all of them. One that cannot be started has a problem. @param enter the words before a program's own that run it in the namespace */
  async apply(desired: ReadonlyMap<string, DnsFiles>, enter: readonly string[], signal: AbortSignal): Promise<void> {
    for (const name of [...this.#serving.keys()]) if (!desired.has(name)) await this.#stop(name);
    for (const name of [...this.#problems.keys()]) if (!desired.has(name)) this.#problems.delete(name);
    const starting: string[] = [];
    const living = new Set(await this.#alive());
    for (const [name, files] of desired) {
      const serving = this.#serving.get(name);
      const alive = serving !== undefined && living.has(name);
      if (alive && serving.files.config === files.config && !isReused(files, serving.leased)) {
        const same = serving.files.hosts === files.hosts && serving.files.reservations === files.reservations;
        if (!same) {
          const leased = new Map([...serving.leased, ...reservedIn(files.reservations)]);
          if (!this.#tryWrite(name, files, leased)) continue;
          process.kill(serving.process.pid, 'SIGHUP');
          this.#serving.set(name, { ...serving, files, leased });
        }
        this.#problems.delete(name);
        continue;
      }
      if (alive) await this.#stop(name);
      if (this.#written.has(files) || this.#tryWrite(name, files)) starting.push(name);
    }
    if (starting.length === 0) return;
    const words = await this.#start(starting, enter, signal);
    const started = await Promise.all(starting.map(async (name) => [name, await this.#running(this.folderOf(name))] as const));
    for (const [name, process] of started) {
      if (process) {
        const files = desired.get(name) as DnsFiles;
        this.#serving.set(name, { process, files, leased: reservedIn(files.reservations) });
        this.#problems.delete(name);
      } else {
        this.#serving.delete(name);
        this.#problems.set(
          name,
          new VivError(
            'unsupported',
            `the network ${name} has no DHCP and DNS, because dnsmasq could not be started: ${words || 'it ended immediately'}`,
          ),
        );
      }
    }
  }

  /** Whether all that are desired run. */
  async areAlive(): Promise<boolean> {
    return this.#problems.size === 0 && (await this.#alive()).length === this.#serving.size;
  }

  async end(): Promise<void> {
    await this.adopt();
    for (const name of [...this.#serving.keys()]) await this.#stop(name);
  }

  /** Each goes to the background when it is ready; one shell for each CPU starts them one after the other. @returns the messages of those that failed */
  async #start(names: readonly string[], enter: readonly string[], signal: AbortSignal): Promise<string> {
    const files = names.map((name) => join(this.folderOf(name), 'dnsmasq.conf'));
    const share = Math.ceil(files.length / availableParallelism());
    const shares = Array.from({ length: Math.ceil(files.length / Math.max(1, share)) }, (_, nth) =>
      files.slice(nth * share, (nth + 1) * share),
    );
    const [program = '', ...args] = [
      ...enter,
      '/bin/sh',
      '-c',
      'd=$1; shift; bad=0; for c; do "$d" --conf-file="$c" || bad=$?; done; exit $bad',
      'sh',
      this.#program,
    ];
    const timeoutMs = startDeadlineMs + names.length * 100;
    const failureOf = ({ exitCode, stderr }: { exitCode: number | null; stderr: string }) =>
      exitCode === 0 ? '' : stderr.trim().slice(-500);
    const started = shares.map((some) =>
      runProgram(program, [...args, ...some], { timeoutMs, signal }).then(failureOf, (error: unknown) => {
        signal.throwIfAborted();
        return (error as Error).message;
      }),
    );
    return (await Promise.all(started)).filter(Boolean).join('; ');
  }

  async #stop(network: string): Promise<void> {
    const serving = this.#serving.get(network);
    if (serving) await endStaying(serving.process);
    this.#serving.delete(network);
    await rm(this.folderOf(network), { recursive: true, force: true });
  }

  /** Returns false, with a problem, where they cannot be written. */
  #tryWrite(network: string, files: DnsFiles, leased = reservedIn(files.reservations)): boolean {
    try {
      this.#write(network, files, leased);
      return true;
    } catch (error) {
      this.#problems.set(
        network,
        new VivError(
          'unsupported',
          `the network ${network} has no DHCP and DNS, because its files could not be written: ${(error as Error).message}`,
        ),
      );
      return false;
    }
  }

  /** Synchronous: 0.2 ms; with promises it takes 2 ms. */
  #write(network: string, files: DnsFiles, leased: ReadonlyMap<string, string>): void {
    const folder = this.folderOf(network);
    // dnsmasq reads them again after it has changed to its own user.
    for (const one of [this.#folder, folder]) {
      mkdirSync(one, { recursive: true });
      chmodSync(one, 0o711);
    }
    const write = (name: string, text: string) => {
      writeFileSync(join(folder, `${name}.new`), text, { mode: 0o644 });
      chmodSync(join(folder, `${name}.new`), 0o644);
      renameSync(join(folder, `${name}.new`), join(folder, name));
    };
    write('dnsmasq.conf', files.config);
    write('hosts', `${files.hosts}${releasedHosts(network, files, leased)}`);
    write('reservations', files.reservations);
    write('leased', [...leased].map(([address, mac]) => `${mac},${address}\n`).join(''));
    this.#written.add(files);
  }

  /** Networks whose dnsmasq runs. */
  async #alive(): Promise<string[]> {
    const serving = [...this.#serving];
    const alive = await Promise.all(serving.map(([, { process: one }]) => isProcess(one.pid, one.startTicks)));
    return serving.flatMap(([name], at) => (alive[at] ? [name] : []));
  }

  #running(folder: string): Promise<Staying | null> {
    return findStaying(join(folder, 'pid'), join(folder, 'dnsmasq.conf'));
  }
}

/** Addresses of reservations with their MAC addresses. */
const reservedIn = (reservations: string): Map<string, string> =>
  new Map(
    reservations.split('\n').flatMap((line) => {
      const [mac = '', ...rest] = line.split(',');
      return rest.filter((part) => !part.startsWith('set:')).map((address) => [address, mac] as const);
    }),
  );

/**
 * Host names for released addresses. At SIGHUP dnsmasq takes a new name of a leased address over into the lease, but keeps the old one where there is no
 * new one, and would resolve it to the address until the lease ends.
 */
const releasedHosts = (network: string, { reservations }: DnsFiles, leased: ReadonlyMap<string, string>): string => {
  const reserved = reservedIn(reservations);
  const released = [...leased.keys()].filter((address) => !reserved.has(address) && !address.startsWith('['));
  return released.map((address) => `${address} ${fullName(`released-${address.replaceAll('.', '-')}`, network)}\n`).join('');
};

/** dnsmasq gives nobody an address that it has leased to another MAC address, for up to 12 hours; only a restart makes it forget a lease. */
const isReused = ({ reservations }: DnsFiles, leased: ReadonlyMap<string, string>): boolean =>
  [...reservedIn(reservations)].some(([address, mac]) => (leased.get(address) ?? mac) !== mac);
