// What a derived command prints when --json was not asked for: a sheet or table where there is one, otherwise the name of what it acted on.

import type { CatalogEntry, Image } from '../../contract/image.ts';
import type { Network } from '../../contract/network.ts';
import type { Group } from '../../contract/security-group.ts';
import type { Difference, Snapshot, Verification } from '../../contract/snapshot.ts';
import type { Task } from '../../contract/task.ts';
import type { Vm } from '../../contract/vm-state.ts';
import type { WarmPool } from '../../contract/warm-pool.ts';
import { clean } from '../text.ts';
import { differenceTable } from './difference.ts';
import { catalogTable, imageSheet } from './image.ts';
import { networkSheet } from './network.ts';
import { groupSheet } from './security-group.ts';
import { snapshotName, verificationLines } from './snapshot.ts';
import { taskSheet } from './task.ts';
import { vmSheet } from './vm.ts';
import { warmPoolSheet } from './warm-pool.ts';

type Render = (output: never, width: number | undefined) => string[];

const renders: Readonly<Record<string, Render>> = {
  'vm.show': (vm: Vm) => vmSheet(vm),
  'snapshot.create': (snapshot: Snapshot) => [snapshotName(snapshot)],
  'network.show': (network: Network) => networkSheet(network),
  'security-group.show': (group: Group) => groupSheet(group),
  'snapshot.diff': (difference: Difference, width) => differenceTable(difference, width),
  'snapshot.verify': (verification: Verification) => verificationLines(verification),
  'warm-pool.show': (warmPool: WarmPool) => warmPoolSheet(warmPool),
  'image.show': (image: Image) => imageSheet(image),
  'image.catalog': (entries: CatalogEntry[], width) => catalogTable(entries, width),
  'task.show': (task: Task) => taskSheet(task),
  'task.cancel': (task: Task) => [task.id],
};

export function renderOutput(operation: string, output: unknown, options: { width: number | undefined }): string {
  const render = renders[operation];
  return render ? render(output as never, options.width).join('\n') : clean(nameOf(output));
}

/** `web`, `debian:12`: what the next command on a line would take. */
function nameOf(output: unknown): string {
  const thing = output as { name?: unknown; names?: unknown[]; digest?: unknown; path?: unknown; id?: unknown } | null;
  return String(thing?.name ?? thing?.names?.[0] ?? thing?.digest ?? thing?.path ?? thing?.id ?? '');
}
