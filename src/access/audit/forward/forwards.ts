// Where the audit log is forwarded to (key `access/audit-forward/<name>`; how far each has come: `access/audit-forward-position/<name>`).
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { AuditForward } from '../../../contract/audit.ts';
import { CollectorText, parseCollector } from '../../../contract/audit-collector.ts';
import { VivError } from '../../../contract/errors.ts';
import { Name, Time } from '../../../contract/field.ts';
import type { Clock } from '../../../host/clock.ts';
import { newId } from '../../../host/id.ts';
import { anyAddress, type OutgoingPolicy } from '../../../host/outgoing.ts';
import type { Store } from '../../../store/store.ts';
import { type Commit, Table, write } from '../../table.ts';
import type { AuditLog } from '../log.ts';
import { connectionTo } from './connection.ts';
import { Forwarder, type Progress } from './forwarder.ts';

const prefix = 'access/audit-forward/';
const positionPrefix = 'access/audit-forward-position/';
const mostCollectors = 10;
const mostBehind = 1_000_000;

const ForwardRecord = z.object({
  id: z.string(),
  name: Name,
  url: CollectorText,
  token: z.string().nullable(),
  ca: z.string().nullable(),
  /** The host's owner has added it on the host itself, so that it may be anywhere. */
  anywhere: z.boolean(),
  createdAt: Time,
});
type ForwardRecord = z.infer<typeof ForwardRecord>;
const Position = z.object({ position: z.int(), lost: z.int() });

export interface ForwardsOptions {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly log: Logger;
  readonly policy: OutgoingPolicy;
}

export class AuditForwards {
  readonly #options: ForwardsOptions;
  readonly #table: Table<ForwardRecord>;
  readonly #running = new Map<string, Forwarder>();

  private constructor(options: ForwardsOptions, table: Table<ForwardRecord>) {
    this.#options = options;
    this.#table = table;
  }

  static async open(options: ForwardsOptions): Promise<AuditForwards> {
    return new AuditForwards(options, await Table.open(options.store, prefix, ForwardRecord, options.log));
  }

  async begin(): Promise<void> {
    for (const record of this.#table.all()) {
      const kept = Position.safeParse((await this.#options.store.get(positionPrefix + record.name))?.value);
      this.#start(record, kept.success ? kept.data : { position: 0, lost: 0 });
    }
  }

  list(): AuditForward[] {
    return this.#table.all().map((record) => this.#view(record));
  }

  /** @throws name_taken, in_use when there are too many, invalid */
  async add(
    given: { name: string; url: string; token: string | null; ca: string | null; anywhere: boolean; onlyNew: boolean },
    commit: Commit,
  ): Promise<AuditForward> {
    const { onlyNew, ...asked } = given;
    const { name, url, token } = asked;
    if (this.#table.get(name)) throw new VivError('name_taken', `the audit log is forwarded to ${name} already; choose another name`);
    if (this.#table.size >= mostCollectors)
      throw new VivError('in_use', `there are ${mostCollectors} collectors already; remove one first`);
    if (token !== null && parseCollector(url).kind !== 'hec') throw new VivError('invalid', 'a syslog server takes no token; leave it out');
    const record = { id: newId(), ...asked, createdAt: this.#options.clock.now() };
    const position = onlyNew ? this.#options.audit.head.sequence : 0;
    const from = { position, lost: 0 };
    await this.#options.store.commit({ puts: [{ key: positionPrefix + name, value: from }] });
    await write(commit, this.#table.put(name, record));
    this.#start(record, from);
    return this.#view(record);
  }

  /** @throws not_found */
  async remove(name: string, commit: Commit): Promise<void> {
    if (!this.#table.get(name))
      throw new VivError('not_found', `the audit log is not forwarded to ${name}; viv audit forward ls lists the collectors`);
    await write(commit, this.#table.drop(name));
    await this.#running.get(name)?.stop();
    this.#running.delete(name);
    await this.#options.store.commit({ deletes: [positionPrefix + name] });
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.values()].map((forwarder) => forwarder.stop()));
    this.#running.clear();
  }

  #start({ name, url, token, ca, anywhere }: ForwardRecord, from: Progress): void {
    const { store, audit, clock, log, policy } = this.#options;
    const forwarder = new Forwarder({
      ...{ audit, clock, log, name, mostBehind, from },
      connection: connectionTo({
        url,
        token,
        ca,
        policy: anywhere ? anyAddress : policy,
        sender: { hostname: hostname(), pid: process.pid },
      }),
      keep: (value) => store.commit({ puts: [{ key: positionPrefix + name, value }] }),
    });
    this.#running.set(name, forwarder);
    forwarder.begin();
  }

  #view({ name, url }: ForwardRecord): AuditForward {
    const forwarder = this.#running.get(name);
    const { position, lost } = forwarder?.progress ?? { position: 0, lost: 0 };
    const behind = Math.max(0, this.#options.audit.head.sequence - position);
    const { kind } = parseCollector(url);
    return { name, kind, url, position, behind, lost, deliveredAt: forwarder?.deliveredAt ?? null, problem: forwarder?.problem ?? null };
  }
}
