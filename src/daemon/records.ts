// What the daemon keeps durably about itself and its users: the store, the audit log, users, events, alerts and the history of measurements.
import { hostname } from 'node:os';
import { Access } from '../access/access.ts';
import { Anchors } from '../access/audit/anchor.ts';
import { AuditForwards } from '../access/audit/forward/forwards.ts';
import { AuditLog } from '../access/audit/log.ts';
import { operationList } from '../contract/index.ts';
import { type OutgoingPolicy, outgoingPolicyFrom } from '../host/outgoing.ts';
import { Alerts } from '../resource/alert/alerts.ts';
import { Histories } from '../resource/history/histories.ts';
import type { Migrated } from '../store/migration/schema.ts';
import type { Found } from '../store/rebuild.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import type { Store } from '../store/store.ts';
import { createEventLog, type DurableEventLog } from '../task/event-log.ts';
import type { Ground } from './ground.ts';
import { isCopied, type RecordRecovery, recoverRecords } from './lost-records.ts';

export interface Records {
  /** What was lost of the records, and what was done about it. */
  readonly recovery: RecordRecovery;
  readonly store: Store;
  readonly audit: AuditLog;
  readonly auditForwards: AuditForwards;
  readonly anchors: Anchors;
  readonly access: Access;
  readonly alerts: Alerts;
  readonly histories: Histories;
  /** Addresses that may be reached for others. */
  readonly outgoing: OutgoingPolicy;
  readonly events: DurableEventLog;
}

export async function openRecords({ env, clock, uid, paths, log }: Ground): Promise<Records> {
  const migrated: Migrated[] = [];
  let found = { as: 'right' } as Found;
  const store = await openSqliteStore(paths.store, {
    directories: paths,
    onMigrated: (from) => migrated.push(from),
    copies: { file: paths.records, isCopied },
    onFound: (as) => {
      found = as;
    },
  });
  const recovery = await recoverRecords(store, paths, found);
  const audit = await AuditLog.open({ store, log, folder: paths.audit, now: Date.now });
  const anchors = new Anchors(() => audit.head, paths.stateDirectory, log);
  const outgoing = outgoingPolicyFrom(env);
  const auditForwards = await AuditForwards.open({ store, audit, clock, log, policy: outgoing });
  const permissions = [...new Set(operationList.map(({ permission }) => permission))].sort();
  const access = await Access.open({ store, log, clock, permissions, ownUid: uid });
  const eventLog = createEventLog(store, log);
  const alerts = await Alerts.open({
    ...{ store, clock, log, hostname: hostname(), policy: outgoing },
    record: (event) => events.record(event),
  });
  const histories = new Histories(paths.history, (error) => log.error({ error }, 'the history of what was measured could not be written'));
  const events: DurableEventLog = {
    ...eventLog,
    record(event) {
      eventLog.record(event);
      alerts.onEvent(event);
      if (event.type === 'vm.removed' && event.subject !== undefined) void histories.remove(event.subject);
    },
  };
  for (const { release, copy } of migrated)
    events.record({ type: 'host.migrated', message: `the state of Vivarium ${release} was migrated; a copy of it is ${copy}` });
  for (const message of recovery.messages) {
    events.record({ type: 'host.problem', message });
    log.error(message);
  }
  return { recovery, store, audit, auditForwards, anchors, access, alerts, histories, outgoing, events };
}
