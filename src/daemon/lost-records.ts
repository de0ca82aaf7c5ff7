// Records that were lost or cannot be read: which have a second copy, what a daemon does about a lost store, and what health says.
import type { Paths } from '../host/paths.ts';
import type { Services } from '../operations/services.ts';
import type { Found } from '../store/rebuild.ts';
import type { Store } from '../store/store.ts';
import { registerMissing } from '../vm/unreadable.ts';

/** What exists on the host, and who may do what with it. Tasks, events and sessions are history: they have no copy. */
const copied = [
  ...['vm/', 'vm-name/', 'snapshot/', 'warm-pool/', 'network/', 'security-group/', 'forward/', 'alert/', 'host/'],
  ...['access/user/', 'access/role/', 'access/project/', 'access/image/', 'access/token/', 'access/listener'],
];

export const isCopied = (key: string): boolean => copied.some((prefix) => key.startsWith(prefix));

const rebuiltKey = 'host/rebuilt';
/** For so long health says that the store was rebuilt. */
const shownMs = 7 * 24 * 60 * 60 * 1000;

export interface RecordRecovery {
  /** The store was rebuilt: what the last daemon had under way is not known. */
  readonly isRebuilt: boolean;
  /** What this start has found, as sentences; empty: nothing. */
  readonly messages: readonly string[];
  /** For `viv host`. */
  problems(): string[];
}

/** Before the VMs are read: registers those that the store does not know. */
export async function recoverRecords(
  store: Store,
  paths: Pick<Paths, 'vms' | 'run' | 'store' | 'records'>,
  found: Found,
): Promise<RecordRecovery> {
  const messages: string[] = [];
  if (found.as === 'rebuilt') {
    const why = found.from === 'nothing' ? 'was missing or empty' : 'was an older copy';
    const message = `The store ${paths.store} ${why}, and was rebuilt from ${found.records} records in ${paths.records}. Check the VMs, and see that nothing replaces this file`;
    await store.commit({ puts: [{ key: rebuiltKey, value: { at: Date.now(), message } }] });
    messages.push(message);
  }
  const missing = await registerMissing(store, paths, found.as === 'new');
  if (missing.length > 0)
    messages.push(
      `The store does not have the records of ${missing.length} VMs that have files in ${paths.vms}; they are shown as broken, and nothing of them is changed: ${missing.join(', ')}`,
    );
  const rebuilt = (await store.get(rebuiltKey))?.value as { at: number; message: string } | undefined;
  return {
    isRebuilt: found.as === 'rebuilt',
    messages,
    problems: () => (rebuilt !== undefined && Date.now() - rebuilt.at < shownMs ? [`${rebuilt.message}.`] : []),
  };
}

/** For `viv host`: what cannot be read, and how it is removed. */
export function recordProblems({ vms, snapshots, networks, warmPools, alerts, access }: Services): string[] {
  const named = [networks.records, networks.groups, networks.forwards.records, warmPools].flatMap((records) =>
    records
      .unreadable()
      .map(
        ({ name, why }) =>
          `The ${records.noun.replace('-', ' ')} ${name} cannot be used: ${why}. Remove it with: viv ${records.noun} rm --force ${name}`,
      ),
  );
  return [
    ...vms
      .unreadable()
      .map(({ name, unreadable }) => `Nothing can be done with the VM ${name}: ${unreadable?.why}. Remove it with: viv rm --force ${name}`),
    ...snapshots.unreadable().map(({ id, label, vm, why }) => {
      const of = vms.byId(vm)?.name;
      const remove = of === undefined ? '' : ` Remove it with: viv snapshot rm --force ${of} ${label ?? id}`;
      return `The snapshot ${label ?? id} of ${of ?? 'an unknown VM'} is lost: ${why}.${remove}`;
    }),
    ...named,
    ...[...alerts.unreadable, ...access.unreadable()].map((key) => `The record ${key} cannot be read; it has no effect.`),
  ];
}
