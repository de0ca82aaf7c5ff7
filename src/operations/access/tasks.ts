// Tasks and access: their beginning and end are recorded in the transaction that journals them, and whoever asked for one has to have the right to it when its
// turn comes.
import type { AuditEntry, AuditLog } from '../../access/audit/log.ts';
import { operationList } from '../../contract/index.ts';
import type { Store, Transaction } from '../../store/store.ts';
import type { Journal, TaskRecord } from '../../task/journal.ts';
import type { Services } from '../services.ts';
import { authorize } from './authorize.ts';

const operations = new Map(operationList.map((operation) => [operation.id, operation]));

/** Creations are recorded before their object has an id. */
const ids: Readonly<Record<string, (output: unknown) => string | undefined>> = {
  vm: (output) => (output as { id?: string } | null)?.id,
  image: (output) => (output as { digest?: string } | null)?.digest,
  network: (output) => (output as { name?: string } | null)?.name,
};

export function auditedJournal(store: Store, audit: AuditLog, services: () => Services): Journal {
  return {
    async commit(transaction, record, moment) {
      const operation = operations.get(record.task.operation);
      const extra = moment === 'ended' ? ownership(record, services()) : {};
      const whole = joined(transaction, extra);
      const result = moment && operation?.audit ? audit.commit(whole, entryOf(record, moment)) : store.commit(whole);
      await result;
      for (const apply of extra.applies ?? []) apply((await result).revision);
    },
  };
}

function entryOf({ task, by, objects = [] }: TaskRecord, moment: 'begun' | 'ended'): AuditEntry {
  const state = task.state === 'running' ? 'failed' : task.state;
  return {
    actor: by ?? { user: null, name: 'unknown', via: 'none', session: null, token: null, from: null },
    operation: task.operation,
    objects: objects.map(({ kind, id, name }) => ({ kind, id: id === '' ? (ids[kind]?.(task.output) ?? '') : id, name })),
    outcome: moment === 'begun' ? 'begun' : task.error?.code === 'forbidden' ? 'refused' : state,
    error: task.error && { code: task.error.code, message: task.error.message.slice(0, 300) },
    task: task.id,
  };
}

interface Extra extends Transaction {
  readonly applies?: readonly ((revision: number) => void)[];
}

/** A new image belongs to the project of the request; what was removed belongs to nobody, and roles on it end. */
function ownership({ task, input, objects = [] }: TaskRecord, { access }: Services): Extra {
  if (task.state !== 'done') return {};
  const { operation } = task;
  const writes = [];
  if (operation === 'image.pull' || operation === 'image.build' || operation === 'image.import') {
    const { project } = (input ?? {}) as { project?: string };
    const digest = ids['image']?.(task.output);
    const owner = project === undefined ? undefined : access.projects.byName(project);
    // One that the host had already stays the host's.
    if (owner && digest !== undefined && (access.projects.ownersOfImage(digest).length > 0 || isNew(task.output, task.createdAt)))
      writes.push(access.projects.ownImage(digest, owner.id));
  }
  for (const { kind, id } of objects) {
    if (operation === `${kind}.remove` && (kind === 'vm' || kind === 'network' || kind === 'image')) {
      writes.push(...access.users.withoutScope({ kind, id }));
      if (kind === 'image') writes.push(...access.projects.forgetImage(id));
    }
  }
  return {
    guards: writes.map(({ key, revision }) => ({ key, revision })),
    puts: writes.filter(({ value }) => value !== undefined).map(({ key, value }) => ({ key, value })),
    deletes: writes.filter(({ value }) => value === undefined).map(({ key }) => key),
    applies: writes.map(({ apply }) => apply),
  };
}

const isNew = (output: unknown, since: number) => ((output as { createdAt?: number } | null)?.createdAt ?? 0) >= since;

const joined = (one: Transaction, other: Transaction): Transaction => ({
  guards: [...(one.guards ?? []), ...(other.guards ?? [])],
  puts: [...(one.puts ?? []), ...(other.puts ?? [])],
  deletes: [...(one.deletes ?? []), ...(other.deletes ?? [])],
});

/** @throws forbidden, not_found, over_quota when it would be refused now */
export async function mayStillAct({ task, by, input }: TaskRecord, services: Services): Promise<void> {
  const operation = operations.get(task.operation);
  if (!operation || by === undefined || by.user === null) return;
  await authorize(operation, (input ?? {}) as Record<string, unknown>, services.access.byActor(by), services);
}
