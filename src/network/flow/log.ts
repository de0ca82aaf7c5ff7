// The flow log of this home: what the networks say of new connections, with the names of the VMs. The latest are kept in memory and in a file of
// lines, so that a daemon that comes back knows them; what has passed meanwhile it is told by who kept it (network/flow/record.ts).
import { appendFile, readFile, rename, stat } from 'node:fs/promises';
import { Flow } from '../../contract/flow.ts';
import type { VmRegistry } from '../../vm/registry.ts';
import { verdicts } from '../firewall/verdict.ts';
import { bridgeOf, bridgeUplinkInside, tapOwner } from '../kernel/interface-names.ts';
import type { NetworksHere } from '../kernel/reconciler.ts';
import type { NetworkHost } from '../networks.ts';
import type { NetworkRecords } from '../record/network.ts';

const kept = 5000;
/** The file is put aside when it is so long, and the one before it goes. */
const mostBytes = 16 * 1024 * 1024;
const retryMs = 5000;

type End = Flow['from'];

export class FlowLog {
  readonly #host: NetworkHost;
  readonly #vms: VmRegistry;
  readonly #records: NetworkRecords;
  readonly #here: NetworksHere;
  readonly #followers = new Set<(flow: Flow) => void>();
  /** Of each network. */
  readonly #devices = new Map<string, readonly string[]>();
  #recent: Promise<Flow[]> | null = null;
  #running: Promise<void> | null = null;
  #triedAt = 0;
  #stopping = new AbortController();
  #unwritten: Flow[] = [];
  #writing: Promise<void> | null = null;

  constructor(host: NetworkHost, vms: VmRegistry, records: NetworkRecords, here: NetworksHere) {
    this.#host = host;
    this.#vms = vms;
    this.#records = records;
    this.#here = here;
  }

  /** Listens from now on, where there are networks and it does not yet. Resolves when it knows the interfaces that are there now. */
  async listen(): Promise<void> {
    if (this.#running || this.#stopping.signal.aborted || Date.now() - this.#triedAt < retryMs) return;
    this.#triedAt = Date.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#running = this.#read(resolve)
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted)
          this.#host.log.warn({ error }, 'the flow log has ended; it begins anew with the next change of the networks');
      })
      .finally(() => {
        this.#running = null;
        resolve();
      });
    await promise;
  }

  /** What is written has been written, and its process has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#writing;
  }

  /** The latest that fit, the oldest first. */
  async latest(fits: (flow: Flow) => boolean, limit: number): Promise<Flow[]> {
    return (await this.#kept()).filter(fits).slice(-limit);
  }

  /** From now on. */
  async *follow(fits: (flow: Flow) => boolean, signal: AbortSignal): AsyncGenerator<Flow> {
    const waiting: Flow[] = [];
    let wake = () => {};
    const hear = (flow: Flow) => {
      if (!fits(flow) || waiting.length >= kept) return;
      waiting.push(flow);
      wake();
    };
    this.#followers.add(hear);
    const aborted = () => wake();
    signal.addEventListener('abort', aborted);
    try {
      while (!signal.aborted) {
        const next = waiting.shift();
        if (next) yield next;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (waiting.length > 0 || signal.aborted) resolve();
          });
      }
    } finally {
      this.#followers.delete(hear);
      signal.removeEventListener('abort', aborted);
    }
  }

  async #read(begun: () => void): Promise<void> {
    const watching = await this.#here.watching();
    if (watching === null) return;
    const flows = await watching.flows(this.#stopping.signal);
    begun();
    const recent = await this.#kept();
    const isNew = after(recent, Date.now());
    for await (const { at, verdict, from, to, protocol, source, target, sourcePort, targetPort } of flows) {
      const ends = { from: this.#endOf(from, source), to: this.#endOf(to, target) };
      // What the networks say among themselves is nobody's connection.
      if (!ends.from?.vm && !ends.to?.vm) continue;
      const flow: Flow = {
        ...{ occurredAt: at, verdict, reason: verdicts[verdict] },
        ...ends,
        ...{ protocol, source, target, sourcePort, targetPort },
      };
      if (!isNew(flow)) continue;
      recent.push(flow);
      if (recent.length > kept * 1.1) recent.splice(0, recent.length - kept);
      for (const hear of this.#followers) hear(flow);
      this.#unwritten.push(flow);
      this.#writing ??= this.#write().finally(() => {
        this.#writing = null;
      });
    }
  }

  /** A full disk loses some; the daemon goes on. */
  async #write(): Promise<void> {
    const file = this.#host.paths.flowLog;
    try {
      while (this.#unwritten.length > 0) {
        const lines = this.#unwritten.splice(0).map((flow) => `${JSON.stringify(flow)}\n`);
        await appendFile(file, lines.join(''), { mode: 0o600 });
        if ((await stat(file)).size > mostBytes) await rename(file, `${file}.1`);
      }
    } catch (error) {
      this.#host.log.warn({ error }, 'the flow log could not be written');
    }
  }

  #kept(): Promise<Flow[]> {
    this.#recent ??= (async () => {
      const texts = await Promise.all(
        [`${this.#host.paths.flowLog}.1`, this.#host.paths.flowLog].map((file) => readFile(file, 'utf8').catch(() => '')),
      );
      const lines = texts
        .join('')
        .split('\n')
        .slice(-kept - 1);
      return lines.flatMap((line) => {
        try {
          return Flow.parse(JSON.parse(line));
        } catch {
          return []; // the last one may be half a line
        }
      });
    })();
    return this.#recent;
  }

  /** By the interface, which cannot be forged; what was routed is known by a bridge's, and by whose address it is there. */
  #endOf(name: string | null, address: string | null): End {
    if (name === null) return null;
    const owner = tapOwner(name);
    const tapped = owner && this.#vms.byId(owner.machineId)?.record;
    const nic = tapped?.nics.find(({ id }) => id === owner?.nic);
    if (tapped && nic) return { vm: tapped.name, nic: nic.id, network: nic.network };
    const network = this.#networkOf(name);
    if (network !== null && address !== null)
      for (const { record } of this.#vms.all())
        for (const nicId of record.nics)
          if (nicId.network === network && [nicId.ipv4, nicId.ipv6].includes(address)) return { vm: record.name, nic: nicId.id, network };
    return { vm: null, nic: null, network };
  }

  /** By its bridge or its way to the outside; their names follow from its own, so that they are worked out once. */
  #networkOf(device: string): string | null {
    for (const { name } of this.#records.all()) {
      const devices = this.#devices.get(name) ?? [bridgeOf(name), bridgeUplinkInside(name)];
      this.#devices.set(name, devices);
      if (devices.includes(device)) return name;
    }
    return null;
  }
}

/** Tells what has been told before from what has not, of what was kept until `now`. */
function after(recent: readonly Flow[], now: number): (flow: Flow) => boolean {
  const last = recent.at(-1)?.occurredAt ?? 0;
  const keyOf = ({ occurredAt, verdict, protocol, source, target, sourcePort, targetPort }: Flow) =>
    [occurredAt, verdict, protocol, source, target, sourcePort, targetPort].join(' ');
  const known = new Set(recent.filter(({ occurredAt }) => occurredAt === last).map(keyOf));
  return (flow) => flow.occurredAt > now || flow.occurredAt > last || (flow.occurredAt === last && !known.has(keyOf(flow)));
}
