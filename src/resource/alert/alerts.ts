// Alerts of this host: their records, what they fire for, and what is delivered. Values come from the monitor's looks, events from the event
// log; each change of a state and what is to be delivered for it are durable, so that a daemon that comes back neither repeats nor loses any.
//
//   Look ──> step() per rule and VM ──fires, resolves──┐
//   event ──> matches() ───────────────────────────────┴─> DeliveryQueue ──> Deliverer ──> log, webhook, command
import type { Alert, AlertTest, Notification } from '../../contract/alert.ts';
import { shownDestination } from '../../contract/alert-destination.ts';
import { type AlertRule, type EventRule, type MetricRule, parseAlertRule } from '../../contract/alert-rule.ts';
import { VivError } from '../../contract/errors.ts';
import type { Clock } from '../../host/clock.ts';
import type { Look } from '../measure/monitor.ts';
import { Deliverer } from './deliverer.ts';
import { inactive, matches, type Phase, step } from './evaluate.ts';
import { type Delivery, DeliveryQueue, idOf, mostQueued } from './queue.ts';
import { AlertRecord, type AlertStore, FiringRecord, recordKey, stateKey } from './record.ts';
import { type Outcome, type SendOptions, send } from './send.ts';
import { firingText, resolvedText } from './text.ts';

export interface HappenedEvent {
  readonly type: string;
  readonly subject?: string | null | undefined;
  readonly name?: string | null | undefined;
  readonly message: string;
}

export interface AlertsOptions extends SendOptions {
  readonly store: AlertStore;
  readonly clock: Clock;
  readonly hostname: string;
  /** Records an event. */
  readonly record: (event: { type: string; subject?: string; name?: string; message: string }) => void;
}

type Subject = Notification['subject'];

interface Watched {
  readonly subject: Subject;
  phase: Phase;
  value: number | undefined;
  /** Of the last delivery; null: none, it is or was silenced. */
  deliveredAt: number | null;
}

interface Active {
  record: AlertRecord;
  readonly rule: AlertRule;
  /** By the subject's id. */
  readonly watched: Map<string, Watched>;
  /** Of an event rule, by type and subject. */
  readonly seen: Map<string, { deliveredAt: number; suppressed: number }>;
  delivered: number;
  failed: number;
  problem: string | null;
}

const hostId = 'host';
/** Event rules forget what was delivered longer ago than their `repeat`; so often they look for such. */
const mostSeen = 1000;

export class Alerts {
  readonly #options: AlertsOptions;
  readonly #queue: DeliveryQueue;
  readonly #deliverer: Deliverer;
  readonly #active = new Map<string, Active>();

  private constructor(options: AlertsOptions) {
    this.#options = options;
    this.#queue = new DeliveryQueue(options.store, (error) => this.#onProblem(error));
    this.#deliverer = new Deliverer({
      clock: options.clock,
      queue: this.#queue,
      send: ({ notification, to }, signal) => send(notification, to, options, signal),
      onOutcome: (delivery, outcome, givenUp) => this.#onOutcome(delivery, outcome, givenUp),
    });
  }

  /** Keys of records that cannot be read. */
  readonly unreadable: string[] = [];

  /** Reads what is durable. One that this version cannot read is left alone. */
  static async open(options: AlertsOptions): Promise<Alerts> {
    const alerts = new Alerts(options);
    await alerts.#queue.open();
    for (const { key, value } of await options.store.list(recordKey(''))) {
      const parsed = AlertRecord.safeParse(value);
      if (parsed.success) alerts.#add(parsed.data);
      else {
        alerts.unreadable.push(key);
        options.log.error({ key, problem: parsed.error.message }, 'the record of an alert cannot be read; it is left alone');
      }
    }
    for (const { key, value } of await options.store.list(stateKey('', '').slice(0, -1))) {
      const [, name = '', id = ''] = key.split('/');
      const parsed = FiringRecord.safeParse(value);
      const active = alerts.#active.get(name);
      if (!active || !parsed.success) continue;
      const { since, deliveredAt } = parsed.data;
      const subject: Subject = { kind: id === hostId ? 'host' : 'vm', id: id === hostId ? null : id, name: parsed.data.name };
      active.watched.set(id, { subject, phase: { phase: 'firing', since, backSince: null }, value: undefined, deliveredAt });
    }
    return alerts;
  }

  begin(): void {
    this.#deliverer.look();
  }

  /** Breaks off what is being delivered; it is delivered by the next daemon. */
  stop(): Promise<void> {
    return this.#deliverer.stop();
  }

  /** By name. */
  all(): AlertRecord[] {
    return [...this.#active.values()].map(({ record }) => record).sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  byName(name: string): AlertRecord | undefined {
    return this.#active.get(name)?.record;
  }

  /** @throws not_found */
  get(name: string): AlertRecord {
    return this.#get(name).record;
  }

  /** Repeatable. @throws name_taken */
  async insert(record: AlertRecord): Promise<void> {
    const taken = this.byName(record.name);
    if (taken && taken.createdAt !== record.createdAt) throw alertNameTaken(record.name);
    await this.#options.store.commit({ puts: [{ key: recordKey(record.name), value: record }] });
    if (!this.#active.has(record.name)) this.#add(record);
  }

  /** Until then (ms since 1970) nothing is delivered; null ends a silence. @throws not_found */
  async silence(name: string, silencedUntil: number | null): Promise<void> {
    const active = this.#get(name);
    const record = { ...active.record, silencedUntil };
    await this.#options.store.commit({ puts: [{ key: recordKey(name), value: record }] });
    active.record = record;
  }

  /** With what it fires for, and what waits for delivery. Repeatable. */
  async remove(name: string): Promise<void> {
    const states = await this.#options.store.list(stateKey(name, ''));
    await this.#queue.remove(this.#queue.all().filter(({ notification }) => notification.alert === name));
    await this.#options.store.commit({ deletes: [recordKey(name), ...states.map(({ key }) => key)] });
    this.#active.delete(name);
  }

  /** How many fire, by severity. */
  firing(): Record<string, number> {
    const counts: Record<string, number> = { info: 0, warning: 0, critical: 0 };
    for (const { record, watched } of this.#active.values())
      for (const { phase } of watched.values()) if (phase.phase === 'firing') counts[record.severity] = (counts[record.severity] ?? 0) + 1;
    return counts;
  }

  /** @throws not_found */
  view(name: string): Alert {
    const { record, watched, delivered, failed, problem } = this.#get(name);
    const all = [...watched.values()];
    return {
      ...record,
      to: record.to.map(shownDestination),
      silencedUntil: this.#isSilenced(record) ? record.silencedUntil : null,
      firing: all.flatMap(({ subject, phase, value }) =>
        phase.phase === 'firing' ? [{ subject, since: phase.since, value: value ?? null }] : [],
      ),
      pending: all.filter(({ phase }) => phase.phase === 'pending').length,
      deliveries: { queued: this.#queue.count(name), delivered, failed, problem },
    };
  }

  /** Delivers a test to each destination, once and at once. @throws not_found; the signal's reason */
  async test(name: string, signal: AbortSignal): Promise<AlertTest> {
    const { record } = this.#get(name);
    const at = this.#options.clock.now();
    const subject: Subject = { kind: 'host', id: null, name: this.#options.hostname };
    const notification = this.#notification(record, {
      ...{ status: 'test', subject, value: null, threshold: null, since: at, event: null, suppressed: 0 },
      text: `this is a test of the alert ${name}`,
    });
    const deliveries = await Promise.all(
      record.to.map(async (to) => {
        const from = performance.now();
        const { delivered, detail } = await send(notification, to, this.#options, signal);
        return { to: shownDestination(to), delivered, detail, durationMs: Math.round(performance.now() - from) };
      }),
    );
    return { name, deliveries };
  }

  /** What the monitor saw. */
  onLook(look: Look): void {
    for (const active of this.#active.values()) {
      const { rule, record } = active;
      if (rule.kind !== 'metric') continue;
      if (rule.of === 'host') {
        this.#evaluate(active, rule, { kind: 'host', id: null, name: this.#options.hostname }, look.host.values[rule.series], look.at);
        continue;
      }
      for (const { vm, values } of look.vms) {
        if (record.vms.length > 0 && !record.vms.some((pattern) => matches(pattern, vm.name))) continue;
        this.#evaluate(active, rule, { kind: 'vm', id: vm.id, name: vm.name }, values[rule.series], look.at);
      }
      // VMs that were removed, or renamed out of the pattern.
      for (const [id, { subject, phase }] of active.watched) {
        const still = look.vms.some(
          ({ vm }) => vm.id === id && (record.vms.length === 0 || record.vms.some((pattern) => matches(pattern, vm.name))),
        );
        if (!still) this.#evaluate(active, rule, subject, undefined, look.at);
        if (!still && phase.phase !== 'firing') active.watched.delete(id);
      }
    }
  }

  /** What was recorded in the event log. */
  onEvent(event: HappenedEvent): void {
    const now = this.#options.clock.now();
    for (const active of this.#active.values()) {
      const { rule, record } = active;
      if (rule.kind !== 'event' || !matches(rule.type, event.type)) continue;
      if (record.vms.length > 0 && !record.vms.some((pattern) => matches(pattern, event.name ?? ''))) continue;
      this.#onMatch(active, rule, event, now);
    }
  }

  #onMatch({ record, seen }: Active, _rule: EventRule, event: HappenedEvent, now: number): void {
    const key = `${event.type} ${event.subject ?? event.name ?? ''}`;
    const last = seen.get(key);
    if (last && now - last.deliveredAt < record.repeatMs) {
      last.suppressed++;
      return;
    }
    if (this.#isSilenced(record)) return;
    seen.set(key, { deliveredAt: now, suppressed: 0 });
    if (seen.size > mostSeen) for (const [old, { deliveredAt }] of seen) if (now - deliveredAt >= record.repeatMs) seen.delete(old);
    if (seen.size > mostSeen) seen.delete(seen.keys().next().value ?? '');
    const { subject: id = null, name = null } = event;
    const kind =
      event.type.startsWith('vm.') || event.type.startsWith('snapshot.') ? 'vm' : event.type.startsWith('host.') ? 'host' : 'other';
    this.#deliver(record, {
      ...{ status: 'event', subject: { kind, id, name }, value: null, threshold: null, since: now },
      ...{ event: event.type, suppressed: last?.suppressed ?? 0, text: event.message },
    });
  }

  #evaluate(active: Active, rule: MetricRule, subject: Subject, value: number | undefined, at: number): void {
    const id = subject.id ?? hostId;
    const watched = active.watched.get(id);
    const before = watched?.phase ?? inactive;
    const phase = step(rule, before, value, at);
    if (phase.phase === 'inactive' && before.phase === 'inactive') return;
    const next = watched ?? { subject, phase, value, deliveredAt: null };
    Object.assign(next, { subject, phase, value });
    if (!watched) active.watched.set(id, next);
    if (phase.phase === 'inactive') active.watched.delete(id);
    if (before.phase === 'firing' && phase.phase === 'inactive') this.#resolve(active, rule, next, before.since);
    else if (phase.phase === 'firing') this.#fire(active, rule, next, phase.since, before.phase !== 'firing', at);
  }

  #fire({ record }: Active, rule: MetricRule, watched: Watched, since: number, isNew: boolean, at: number): void {
    const { subject, value } = watched;
    const repeat = watched.deliveredAt !== null && at - watched.deliveredAt >= record.repeatMs;
    const deliver = !this.#isSilenced(record) && (watched.deliveredAt === null || repeat) && value !== undefined;
    if (isNew && value !== undefined)
      this.#record('alert.fired', subject, `${record.name}: ${firingText(rule, subject.name ?? '', value)}`);
    if (!isNew && !deliver) return;
    if (deliver) watched.deliveredAt = at;
    this.#persist({ puts: [{ key: stateKey(record.name, subject.id ?? hostId), value: firingRecord(since, watched) }] });
    if (!deliver) return;
    const text = firingText(rule, subject.name ?? '', value);
    this.#deliver(record, { status: 'firing', subject, value, threshold: rule.threshold, since, event: null, suppressed: 0, text });
  }

  #resolve({ record }: Active, rule: MetricRule, { subject, value, deliveredAt }: Watched, since: number): void {
    const text = resolvedText(rule, subject.name ?? '', value);
    this.#record('alert.resolved', subject, `${record.name}: ${text}`);
    this.#persist({ deletes: [stateKey(record.name, subject.id ?? hostId)] });
    // No notification said that it fires.
    if (deliveredAt === null) return;
    this.#deliver(record, {
      ...{ status: 'resolved', subject, value: value ?? null, threshold: rule.threshold, since, event: null, suppressed: 0, text },
    });
  }

  #deliver(record: AlertRecord, parts: Omit<Notification, 'id' | 'alert' | 'severity' | 'rule' | 'hostname' | 'at'>): void {
    void this.#queue.add(this.#notification(record, parts), record.to).then((dropped) => {
      if (dropped.length > 0)
        this.#options.record({
          type: 'alert.delivery-dropped',
          message: `${dropped.length} notifications were dropped: ${mostQueued} wait for delivery. See: viv alert ls`,
        });
      this.#deliverer.look();
    });
  }

  #notification(record: AlertRecord, parts: Omit<Notification, 'id' | 'alert' | 'severity' | 'rule' | 'hostname' | 'at'>): Notification {
    const at = this.#options.clock.now();
    const { status, subject, since, event } = parts;
    // A firing that is repeated is another notification, a resolution is one for each firing.
    const nth = status === 'firing' ? Math.floor((at - since) / record.repeatMs) : status === 'test' ? at : 0;
    return {
      ...parts,
      id: idOf([this.#options.hostname, record.name, record.createdAt, status, subject.id ?? '', since, event ?? '', nth]),
      alert: record.name,
      severity: record.severity,
      rule: record.rule,
      at,
      hostname: this.#options.hostname,
    };
  }

  #onOutcome({ notification, to }: Delivery, outcome: Outcome, givenUp: boolean): void {
    const active = this.#active.get(notification.alert);
    if (!active) return;
    active.problem = outcome.delivered ? null : outcome.detail;
    if (outcome.delivered) active.delivered++;
    if (!givenUp) return;
    active.failed++;
    const message = `${notification.alert} could not be delivered to ${shownDestination(to)}: ${outcome.detail}. Try it with: viv alert test ${notification.alert}`;
    this.#options.record({ type: 'alert.delivery-failed', name: notification.alert, message });
  }

  #record(type: string, { id, name }: Subject, message: string): void {
    this.#options.record({ type, message, ...(id === null ? {} : { subject: id }), ...(name === null ? {} : { name }) });
  }

  #persist(changes: Parameters<AlertStore['commit']>[0]): void {
    void this.#options.store.commit(changes).catch((error: unknown) => this.#onProblem(error));
  }

  #onProblem(error: unknown): void {
    this.#options.log.error({ err: error }, 'the state of an alert could not be written');
  }

  #isSilenced({ silencedUntil }: AlertRecord): boolean {
    return silencedUntil !== null && silencedUntil > this.#options.clock.now();
  }

  #add(record: AlertRecord): void {
    const rule = parseAlertRule(record.rule);
    this.#active.set(record.name, { record, rule, watched: new Map(), seen: new Map(), delivered: 0, failed: 0, problem: null });
  }

  #get(name: string): Active {
    const active = this.#active.get(name);
    if (!active) throw new VivError('not_found', `there is no alert ${name}; see: viv alert ls`);
    return active;
  }
}

export const alertNameTaken = (name: string): VivError =>
  new VivError('name_taken', `there is an alert ${name} already. Choose another name, or remove it with: viv alert rm ${name}`);

const firingRecord = (since: number, { deliveredAt, subject }: Watched): FiringRecord => ({ since, deliveredAt, name: subject.name });
