// The flow log: new connections with their verdicts and the names of the VMs. The latest are kept in memory and in a file of JSON lines for the next
// daemon; what happens while no daemon runs is kept by the recorder (recorder.ts) and read when one returns.
import { appendFile, readFile, rename, stat } from 'node:fs/promises';
import type { Logger } from 'pino';
import { Flow } from '../../contract/flow.ts';
import { verdicts } from '../firewall/verdict.ts';
import { bridgeOf, bridgeUplinkInNamespace, tapOwner } from '../kernel/interface-names.ts';
import type { NetworkReconciler } from '../kernel/reconciler.ts';
import type { PortSource } from '../model.ts';
import type { NetworkRecords } from '../record/network.ts';

/** How many flows are kept in memory. */
const keptFlows = 5000;
/** The file is rotated at this size; one older file is kept. */
const maxFileBytes = 16 * 1024 * 1024;
const retryMs = 5000;

type Endpoint = Flow['from'];

interface Options {
  readonly file: string;
  readonly log: Logger;
  readonly source: PortSource;
  readonly networks: NetworkRecords;
  readonly reconciler: NetworkReconciler;
}

export class FlowLog {
  readonly #options: Options;
  readonly #followers = new Set<(flow: Flow) => void>();
  /** Bridge and bridge uplink of each network. */
  readonly #devices = new Map<string, readonly string[]>();
  #recent: Promise<Flow[]> | null = null;
  #running: Promise<void> | null = null;
  #triedAt = 0;
  readonly #stopping = new AbortController();
  #unwritten: Flow[] = [];
  #writing: Promise<void> | null = null;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Starts to read flows, where a network is in use and they are not read yet. Resolves when the names of the present interfaces are known. */
  async listen(): Promise<void> {
    if (this.#running || this.#stopping.signal.aborted || Date.now() - this.#triedAt < retryMs) return;
    this.#triedAt = Date.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#running = this.#read(resolve)
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted)
          this.#options.log.warn({ error }, 'reading the flow log failed; it starts again with the next change of the networks');
      })
      .finally(() => {
        this.#running = null;
        resolve();
      });
    await promise;
  }

  /** Resolves when everything read so far is written. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#writing;
  }

  /** The latest that match, oldest first. */
  async latest(matches: (flow: Flow) => boolean, limit: number): Promise<Flow[]> {
    return (await this.#kept()).filter(matches).slice(-limit);
  }

  /** Those that match, from now on. */
  async *follow(matches: (flow: Flow) => boolean, signal: AbortSignal): AsyncGenerator<Flow> {
    const waiting: Flow[] = [];
    let notify = () => {};
    const add = (flow: Flow) => {
      if (!matches(flow) || waiting.length >= keptFlows) return;
      waiting.push(flow);
      notify();
    };
    this.#followers.add(add);
    const aborted = () => notify();
    signal.addEventListener('abort', aborted);
    try {
      while (!signal.aborted) {
        const next = waiting.shift();
        if (next) yield next;
        else
          await new Promise<void>((resolve) => {
            notify = resolve;
            if (waiting.length > 0 || signal.aborted) resolve();
          });
      }
    } finally {
      this.#followers.delete(add);
      signal.removeEventListener('abort', aborted);
    }
  }

  async #read(started: () => void): Promise<void> {
    const monitor = await this.#options.reconciler.monitor();
    if (monitor === null) return;
    const flows = await monitor.flows(this.#stopping.signal);
    started();
    const recent = await this.#kept();
    const isNew = newerThan(recent, Date.now());
    for await (const { at, verdict, from, to, protocol, source, target, sourcePort, targetPort } of flows) {
      const ends = { from: this.#endpoint(from, source), to: this.#endpoint(to, target) };
      // Traffic of the networks' own services is not a VM's connection.
      if (!ends.from?.vm && !ends.to?.vm) continue;
      const flow: Flow = {
        ...{ occurredAt: at, verdict, reason: verdicts[verdict] },
        ...ends,
        ...{ protocol, source, target, sourcePort, targetPort },
      };
      if (!isNew(flow)) continue;
      recent.push(flow);
      if (recent.length > keptFlows * 1.1) recent.splice(0, recent.length - keptFlows);
      for (const add of this.#followers) add(flow);
      this.#unwritten.push(flow);
      this.#writing ??= this.#write().finally(() => {
        this.#writing = null;
      });
    }
  }

  /** A full disk loses flows; reading continues. */
  async #write(): Promise<void> {
    const { file, log } = this.#options;
    try {
      while (this.#unwritten.length > 0) {
        const lines = this.#unwritten.splice(0).map((flow) => `${JSON.stringify(flow)}\n`);
        await appendFile(file, lines.join(''), { mode: 0o600 });
        if ((await stat(file)).size > maxFileBytes) await rename(file, `${file}.1`);
      }
    } catch (error) {
      log.warn({ error }, 'the flow log could not be written');
    }
  }

  #kept(): Promise<Flow[]> {
    this.#recent ??= (async () => {
      const { file } = this.#options;
      const texts = await Promise.all([`${file}.1`, file].map((one) => readFile(one, 'utf8').catch(() => '')));
      const lines = texts
        .join('')
        .split('\n')
        .slice(-keptFlows - 1);
      return lines.flatMap((line) => {
        try {
          return Flow.parse(JSON.parse(line));
        } catch {
          return []; // the last line may be incomplete
        }
      });
    })();
    return this.#recent;
  }

  /** By the tap, which cannot be forged; for routed traffic by the bridge and the address. */
  #endpoint(device: string | null, address: string | null): Endpoint {
    if (device === null) return null;
    const { source } = this.#options;
    const owner = tapOwner(device);
    const vm = owner && source.byId(owner.vmId);
    const nic = vm?.nics.find(({ id }) => id === owner?.nic);
    if (vm && nic) return { vm: vm.name, nic: nic.id, network: nic.network };
    const network = this.#networkOf(device);
    if (network !== null && address !== null)
      for (const { name, nics } of source.ports())
        for (const one of nics)
          if (one.network === network && (one.ipv4 === address || one.ipv6 === address)) return { vm: name, nic: one.id, network };
    return { vm: null, nic: null, network };
  }

  #networkOf(device: string): string | null {
    for (const { name } of this.#options.networks.all()) {
      const devices = this.#devices.get(name) ?? [bridgeOf(name), bridgeUplinkInNamespace(name)];
      this.#devices.set(name, devices);
      if (devices.includes(device)) return name;
    }
    return null;
  }
}

/** Whether a flow is not among those that were kept until `now`. */
function newerThan(recent: readonly Flow[], now: number): (flow: Flow) => boolean {
  const last = recent.at(-1)?.occurredAt ?? 0;
  const keyOf = ({ occurredAt, verdict, protocol, source, target, sourcePort, targetPort }: Flow) =>
    [occurredAt, verdict, protocol, source, target, sourcePort, targetPort].join(' ');
  const known = new Set(recent.filter(({ occurredAt }) => occurredAt === last).map(keyOf));
  return (flow) => flow.occurredAt > now || flow.occurredAt > last || (flow.occurredAt === last && !known.has(keyOf(flow)));
}
