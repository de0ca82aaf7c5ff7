// DHCP, router advertisements and DNS of the networks: one dnsmasq for each, so that no network hears of another's machines. Every
// machine has its own address by its MAC, kept in the store; here are only files made from that, read again at SIGHUP.
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { VivError } from '../contract/errors.ts';
import { isProcess } from '../host/process-start.ts';
import { runProgram } from '../host/run.ts';
import { endStaying, findStaying, type Staying } from '../host/stay.ts';
import type { DnsFiles } from './dns-files.ts';

interface Serving {
  readonly process: Staying;
  readonly files: DnsFiles;
}

const startDeadlineMs = 10_000;

/** All dnsmasqs of a home. */
export class Dnsmasqs {
  readonly #folder: string;
  readonly #program: string;
  readonly #serving = new Map<string, Serving>();
  /** What is in the folder of its network. */
  readonly #written = new WeakSet<DnsFiles>();

  /** @param folder one folder in it for each network */
  constructor(folder: string, program: string) {
    this.#folder = folder;
    this.#program = program;
  }

  folderOf(network: string): string {
    return join(this.#folder, network);
  }

  /** Finds those that a daemon before this one has started. */
  async adopt(): Promise<void> {
    for (const network of await readdir(this.#folder).catch(() => [])) {
      const folder = this.folderOf(network);
      const process = await this.#running(folder);
      if (!process) continue;
      const text = (name: string) => readFile(join(folder, name), 'utf8').catch(() => '');
      const [config, hosts, reservations] = await Promise.all([text('dnsmasq.conf'), text('hosts'), text('reservations')]);
      this.#serving.set(network, { process, files: { config, hosts, reservations } });
    }
  }

  /** Writes what those are to read that do not serve yet, which need not wait until their bridges are there. apply() does all else. */
  async prepare(wanted: ReadonlyMap<string, DnsFiles>): Promise<void> {
    for (const [name, files] of wanted) {
      if (this.#serving.has(name)) continue;
      this.#write(name, files);
      await setImmediate();
    }
  }

  /** Brings all of them to what is wanted. @param enter what goes before a program's words so that it runs in the namespace */
  async apply(wanted: ReadonlyMap<string, DnsFiles>, enter: readonly string[], signal: AbortSignal): Promise<void> {
    for (const name of [...this.#serving.keys()]) if (!wanted.has(name)) await this.#stop(name);
    const starting: string[] = [];
    const living = new Set(await this.#alive());
    for (const [name, files] of wanted) {
      const serving = this.#serving.get(name);
      const alive = serving !== undefined && living.has(name);
      if (alive && serving.files.config === files.config) {
        if (serving.files.hosts === files.hosts && serving.files.reservations === files.reservations) continue;
        this.#write(name, files);
        process.kill(serving.process.pid, 'SIGHUP');
        this.#serving.set(name, { ...serving, files });
        continue;
      }
      if (alive) await this.#stop(name);
      if (!this.#written.has(files)) this.#write(name, files);
      starting.push(name);
    }
    if (starting.length === 0) return;
    const failed = await this.#start(starting, enter, signal).then(
      () => null,
      (error: unknown) => error,
    );
    // Those that did start serve, whatever became of the others.
    const started = await Promise.all(starting.map(async (name) => [name, await this.#running(this.folderOf(name))] as const));
    for (const [name, process] of started)
      if (process) this.#serving.set(name, { process, files: wanted.get(name) as DnsFiles });
      else this.#serving.delete(name);
    if (failed !== null) throw failed;
    const [gone] = started.find(([, process]) => process === null) ?? [];
    if (gone !== undefined) throw new VivError('unsupported', `dnsmasq of the network ${gone} ended at once`);
  }

  /** None of those that serve has ended. */
  async alive(): Promise<boolean> {
    return (await this.#alive()).length === this.#serving.size;
  }

  async end(): Promise<void> {
    await this.adopt();
    for (const name of [...this.#serving.keys()]) await this.#stop(name);
  }

  /** Each goes into the background by itself when it serves. A shell for each CPU starts them one after the other. */
  async #start(names: readonly string[], enter: readonly string[], signal: AbortSignal): Promise<void> {
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
    const results = await Promise.all(shares.map((some) => runProgram(program, [...args, ...some], { timeoutMs, signal })));
    const failed = results.find(({ exitCode }) => exitCode !== 0);
    if (failed) throw new VivError('unsupported', `dnsmasq could not be started: ${failed.stderr.trim().slice(-500)}`);
  }

  async #stop(network: string): Promise<void> {
    const serving = this.#serving.get(network);
    if (serving) await endStaying(serving.process);
    this.#serving.delete(network);
    await rm(this.folderOf(network), { recursive: true, force: true });
  }

  /** Not by promises: it is a fifth of a millisecond, and two milliseconds' work with them. */
  #write(network: string, files: DnsFiles): void {
    const folder = this.folderOf(network);
    // dnsmasq reads them again when it is nobody.
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
    write('hosts', files.hosts);
    write('reservations', files.reservations);
    this.#written.add(files);
  }

  /** The networks whose dnsmasq has not ended. */
  async #alive(): Promise<string[]> {
    const serving = [...this.#serving];
    const alive = await Promise.all(serving.map(([, { process: one }]) => isProcess(one.pid, one.startTicks)));
    return serving.flatMap(([name], at) => (alive[at] ? [name] : []));
  }

  #running(folder: string): Promise<Staying | null> {
    return findStaying(join(folder, 'pid'), join(folder, 'dnsmasq.conf'));
  }
}
