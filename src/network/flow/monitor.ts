// Observes traffic in the networks: counters, frames, and new connections.
import type { Readable } from 'node:stream';
import { VivError } from '../../contract/errors.ts';
import { streamProgram } from '../../host/file/stream.ts';
import { findProgram } from '../../host/process/find-program.ts';
import { runOk, runProgram } from '../../host/process/run.ts';
import type { NetworkPrograms } from '../capability.ts';
import { countersArguments, type PortCounters, readCounters } from '../firewall/counters.ts';
import type { FirewallModel } from '../firewall/model.ts';
import { named } from '../kernel/interface-index.ts';
import { type TrafficByTap, trafficFrom } from './counters.ts';
import type { Flow } from './nflog.ts';
import { flowRecorder, recordedFlows } from './recorder.ts';

const deadlineMs = 30_000;
const keepBytes = 256 * 1024 * 1024;

export class TrafficMonitor {
  readonly #enter: readonly string[];
  readonly #programs: NetworkPrograms;
  readonly #env: NodeJS.ProcessEnv;
  readonly #folder: string;
  readonly #has: (pid: number) => Promise<boolean>;

  /**
   * @param enter the words before a program's own that run it in the namespace
   * @param has whether a process is in the namespace
   * @param folder for run files
   */
  constructor(where: {
    enter: readonly string[];
    has: (pid: number) => Promise<boolean>;
    programs: NetworkPrograms;
    env: NodeJS.ProcessEnv;
    folder: string;
  }) {
    this.#enter = where.enter;
    this.#has = where.has;
    this.#programs = where.programs;
    this.#env = where.env;
    this.#folder = where.folder;
  }

  /** Bytes and packets through each tap. */
  async traffic(): Promise<TrafficByTap> {
    const [first, rest] = this.#inNamespace(this.#programs.ip, '-statistics', '-json', 'link', 'show');
    return trafficFrom(await runOk(first, rest, { timeoutMs: deadlineMs, keepBytes }));
  }

  /** What was dropped at each tap. @param model the rules in the kernel */
  async dropped(model: FirewallModel): Promise<ReadonlyMap<string, PortCounters>> {
    const read = async (args: readonly string[]) => {
      const [first, rest] = this.#inNamespace(this.#programs.nft, ...args);
      return await runOk(first, rest, { timeoutMs: deadlineMs, keepBytes });
    };
    return readCounters(model, await Promise.all(countersArguments.map(read)));
  }

  /** Frames that pass an interface, as pcap; null: the interface does not exist now. @throws missing_program; invalid where the filter is not valid */
  async capture(
    device: string,
    { filter, packets }: { filter: string | null; packets: number | null },
    signal: AbortSignal,
  ): Promise<Readable | null> {
    const [show, link] = this.#inNamespace(this.#programs.ip, 'link', 'show', 'dev', device);
    if ((await runProgram(show, link, { timeoutMs: deadlineMs, signal })).exitCode !== 0) return null;
    const narrow = filter !== null || packets !== null;
    const tcpdump = narrow ? await findProgram('tcpdump', this.#env) : null;
    if (narrow && tcpdump === null)
      throw new VivError(
        'missing_program',
        'a filter or a packet limit needs tcpdump, which is not installed; install it with: apt-get install tcpdump',
      );
    const [first, rest] = this.#inNamespace(this.#programs.tap, 'watch', device);
    const all = await streamProgram(first, rest, { timeoutMs: deadlineMs, signal });
    if (tcpdump === null) return all;
    const words = ['-r', '-', '-n', '-U', '-Z', 'root', '-w', '-', ...(packets === null ? [] : ['-c', String(packets)]), '--'];
    try {
      return await streamProgram(tcpdump, [...words, ...(filter === null ? [] : [filter])], { timeoutMs: deadlineMs, signal, input: all });
    } catch (error) {
      all.destroy();
      throw error;
    }
  }

  /** New connections with the names of their interfaces: first those that were recorded, then new ones as they come. */
  async flows(signal: AbortSignal): Promise<AsyncGenerator<Flow & { from: string | null; to: string | null }>> {
    const [folder, program] = [this.#folder, this.#programs.tap];
    const [ip, list] = this.#inNamespace(this.#programs.ip, '-json', 'link', 'show');
    const links = () => runOk(ip, list, { timeoutMs: deadlineMs, signal, keepBytes });
    const first = await links();
    const recorder = await flowRecorder({ folder, program, enter: this.#enter, has: this.#has }, signal);
    return named(recordedFlows(folder, recorder, signal), links, first);
  }

  #inNamespace(program: string, ...args: readonly string[]): [string, string[]] {
    const [first = program, ...rest] = [...this.#enter, program, ...args];
    return [first, rest];
  }
}
