// What a command prints when --json is not given: for each kind of result that the contract names, how it looks.

import type { Alert } from '../../contract/alert.ts';
import type { AuditForward } from '../../contract/audit.ts';
import type { Explanation } from '../../contract/explain.ts';
import type { Forward } from '../../contract/forward.ts';
import type { CatalogEntry, Image } from '../../contract/image.ts';
import type { Network } from '../../contract/network.ts';
import type { Nic } from '../../contract/nic-spec.ts';
import type { Print } from '../../contract/operation.ts';
import type { Project } from '../../contract/project.ts';
import type { Role } from '../../contract/role.ts';
import type { Group } from '../../contract/security-group.ts';
import type { Session } from '../../contract/session.ts';
import type { Difference, Snapshot, Verification } from '../../contract/snapshot.ts';
import type { Task } from '../../contract/task.ts';
import type { Token } from '../../contract/token.ts';
import type { User } from '../../contract/user.ts';
import type { Stopped } from '../../contract/vm.ts';
import type { Vm } from '../../contract/vm-state.ts';
import type { WarmPool } from '../../contract/warm-pool.ts';
import {
  auditForwardTable,
  projectSheet,
  projectTable,
  roleSheet,
  roleTable,
  sessionTable,
  tokenTable,
  userSheet,
  userTable,
} from './access.ts';
import { alertSheet, alertTable } from './alert.ts';
import { differenceTable } from './difference.ts';
import { explanationLines } from './explanation.ts';
import { forwardTable } from './forward.ts';
import { catalogTable, imageName, imageNames, imageSheet, imageTable } from './image.ts';
import { networkSheet, networkTable } from './network.ts';
import { nicTable } from './nic.ts';
import { groupSheet, groupTable } from './security-group.ts';
import { snapshotName, snapshotSheet, snapshotTree, verificationLines } from './snapshot.ts';
import { taskSheet, taskTable } from './task.ts';
import { clean } from './text.ts';
import { vmSheet, vmTable } from './vm.ts';
import { warmPoolSheet, warmPoolTable } from './warm-pool.ts';

/** A list: a table, or with --quiet what each item is called by, a line each. */
interface List<T> {
  readonly table: (items: readonly T[], width: number | undefined) => string[];
  readonly called: (item: T) => string;
  /** Help of --quiet, where it prints no names. */
  readonly quiet?: string;
  /** Said at a terminal where the list is empty. */
  readonly none?: (input: Input) => string;
}

type Input = Readonly<Record<string, unknown>>;
type ListName = Extract<Print, `${string}-table`>;
type OneName = Exclude<Print, ListName>;

const named = { called: ({ name }: { name: string }) => name };
const ids = { called: ({ id }: { id: string }) => id, quiet: 'Print ids only' };

const lists = {
  'alert-table': {
    table: alertTable,
    ...named,
    none: () => 'no alerts yet; create one with: viv alert create busy "cpuPercent > 90 for 5m"',
  } satisfies List<Alert>,
  'catalog-table': { table: catalogTable, ...named } satisfies List<CatalogEntry>,
  'forward-table': { table: forwardTable, ...named } satisfies List<Forward>,
  'image-table': {
    table: imageTable,
    called: imageNames,
    none: () => 'no images yet; viv image catalog lists what can be pulled',
  } satisfies List<Image>,
  'network-table': { table: networkTable, ...named } satisfies List<Network>,
  'nic-table': { table: nicTable, ...ids } satisfies List<Nic>,
  'project-table': { table: projectTable, ...named, none: () => 'no projects yet; viv project create makes one' } satisfies List<Project>,
  'role-table': { table: roleTable, ...named } satisfies List<Role>,
  'security-group-table': { table: groupTable, ...named } satisfies List<Group>,
  'session-table': { table: sessionTable, ...ids, none: () => 'nobody is signed in' } satisfies List<Session>,
  'snapshot-table': {
    table: snapshotTree,
    ...ids,
    none: ({ vm }) => `no snapshots yet; take one with: viv snapshot create ${vm}`,
  } satisfies List<Snapshot>,
  'task-table': { table: (tasks, width) => taskTable(tasks, width), ...ids } satisfies List<Task>,
  'token-table': { table: tokenTable, ...ids, none: () => 'no tokens yet; viv token create makes one' } satisfies List<Token>,
  'audit-forward-table': {
    table: auditForwardTable,
    ...named,
    none: () => 'the audit log is forwarded nowhere; viv audit forward add NAME URL',
  } satisfies List<AuditForward>,
  'user-table': { table: userTable, ...named, none: () => 'no users yet; viv user create makes one' } satisfies List<User>,
  'vm-table': {
    table: (vms, width) => vmTable(vms, width),
    ...named,
    none: () => 'no VMs yet; create one with: viv run tiny',
  } satisfies List<Vm>,
  'warm-pool-table': { table: warmPoolTable, ...named } satisfies List<WarmPool>,
} satisfies Record<ListName, unknown>;

const ones = {
  name: (output: unknown) => [clean(nameOf(output))],
  id: ({ id }: { id: string }) => [id],
  'alert-sheet': (alert: Alert) => alertSheet(alert),
  difference: (difference: Difference, width: number | undefined) => differenceTable(difference, width),
  explanation: (explanation: Explanation) => explanationLines(explanation),
  'image-name': (image: Image, _width: number | undefined, { name, image: source }: Input) => [
    clean(imageName(image, typeof name === 'string' ? name : String(source))),
  ],
  'image-sheet': (image: Image) => imageSheet(image),
  'network-sheet': (network: Network) => networkSheet(network),
  'project-sheet': (project: Project) => projectSheet(project),
  'role-sheet': (role: Role) => roleSheet(role),
  'security-group-sheet': (group: Group) => groupSheet(group),
  'snapshot-name': (snapshot: Snapshot) => [snapshotName(snapshot)],
  'snapshot-sheet': (snapshot: Snapshot) => snapshotSheet(snapshot),
  stopped: ({ name }: Stopped) => [clean(name)],
  'task-sheet': (task: Task) => taskSheet(task),
  'user-sheet': (user: User) => userSheet(user),
  verification: (verification: Verification) => verificationLines(verification),
  'vm-sheet': (vm: Vm) => vmSheet(vm),
  'warm-pool-sheet': (warmPool: WarmPool) => warmPoolSheet(warmPool),
} satisfies Record<OneName, (output: never, width: number | undefined, input: Input) => string[]>;

/** Null: not a list. */
export const listOf = (print: Print | undefined): List<never> | null =>
  print !== undefined && Object.hasOwn(lists, print) ? (lists[print as ListName] as List<never>) : null;

/** @param input what the operation was called with */
export function renderOutput(print: Print = 'name', output: unknown, width: number | undefined, input: Input = {}): string {
  const list = listOf(print);
  const lines = list ? list.table(output as never[], width) : ones[print as OneName](output as never, width, input);
  return lines.join('\n');
}

/** What is said beside a result, on standard error; null: nothing. */
export function noteOf(print: Print | undefined, output: unknown, input: Input): string | null {
  if (print !== 'stopped' || input['force'] === true) return null;
  const { name, forced } = output as Stopped;
  return typeof forced !== 'string' ? null : `${clean(name)} was stopped by force: ${clean(forced)}`;
}

/** `web`, `debian:12`: what the next command on a line would take. */
function nameOf(output: unknown): string {
  const thing = output as { name?: unknown; names?: unknown[]; digest?: unknown; path?: unknown; id?: unknown } | null;
  return String(thing?.name ?? thing?.names?.[0] ?? thing?.digest ?? thing?.path ?? thing?.id ?? '');
}
