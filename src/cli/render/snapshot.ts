// Snapshots for reading: the tree of `viv snapshot ls` and the sheet of `viv snapshot show`.
import type { Snapshot, Verification } from '../../contract/snapshot.ts';
import { formatBytes, formatTime } from './quantity.ts';
import { renderSheet, renderTable } from './table.ts';

interface Row {
  readonly branch: string;
  readonly snapshot: Snapshot;
}

/** Each snapshot under the one before it, with the lines that join them; siblings by age. */
export function treeRows(snapshots: readonly Snapshot[]): Row[] {
  const ids = new Set(snapshots.map(({ id }) => id));
  const childrenOf = (parent: string | null) =>
    snapshots.filter((snapshot) => (snapshot.parent !== null && ids.has(snapshot.parent) ? snapshot.parent : null) === parent);
  const rows: Row[] = [];
  const visit = (snapshot: Snapshot, lead: string, own: string): void => {
    rows.push({ branch: `${lead}${own}`, snapshot });
    const children = childrenOf(snapshot.id);
    // A line of snapshots goes straight down; only where it divides it is indented.
    const below = own === '' ? lead : `${lead}${own.startsWith('├') ? '│  ' : '   '}`;
    children.forEach((child, nth) => {
      visit(child, below, children.length === 1 ? '' : nth === children.length - 1 ? '└─ ' : '├─ ');
    });
  };
  for (const root of childrenOf(null)) visit(root, '', '');
  return rows;
}

export const snapshotName = ({ label, id }: Snapshot): string => label ?? id;

export function snapshotTree(snapshots: readonly Snapshot[], width: number | undefined): string[] {
  return renderTable(
    treeRows(snapshots),
    [
      {
        title: 'SNAPSHOT',
        value: ({ branch, snapshot }) =>
          `${branch}${snapshotName(snapshot)}${snapshot.current ? '  ◄ current' : ''}${snapshot.damage === null ? '' : '  DAMAGED'}`,
        whole: true,
      },
      { title: 'ID', value: ({ snapshot }) => snapshot.id, whole: true },
      { title: 'TAKEN', value: ({ snapshot }) => formatTime(snapshot.createdAt) },
      { title: 'MEMORY', value: ({ snapshot }) => memoryOf(snapshot), right: true },
      { title: 'DISKS', value: ({ snapshot }) => formatBytes(snapshot.diskBytes), right: true },
    ],
    width,
  );
}

const memoryOf = ({ memory, writing, memoryBytes }: Snapshot): string => (!memory ? '-' : writing ? 'writing' : formatBytes(memoryBytes));

export function snapshotSheet(snapshot: Snapshot): string[] {
  return renderSheet([
    ['snapshot', snapshotName(snapshot)],
    ['id', snapshot.id],
    ['vm', snapshot.vm],
    ['taken', formatTime(snapshot.createdAt)],
    ['parent', snapshot.parent ?? 'none'],
    ['memory', snapshot.memory ? memoryOf(snapshot) : 'none'],
    ['disks', `${formatBytes(snapshot.diskBytes)} of their own`],
    ['checked', snapshot.checkedAt === null ? null : formatTime(snapshot.checkedAt)],
    ['damaged', snapshot.damage],
    ['paused', `${snapshot.pausedMs} ms`],
    ['frozen file systems', snapshot.frozenFileSystems === null ? null : snapshot.frozenFileSystems.join(', ')],
    ['taken by', snapshot.auto === null ? null : `the policy (${snapshot.auto}), which may remove it`],
    ['thumbnail', snapshot.thumbnail === 'png' ? `screen: viv snapshot thumbnail ${snapshot.vm} ${snapshotName(snapshot)} FILE` : null],
    ['template', snapshot.template ? 'yes, removed with --force only' : 'no'],
  ]);
}

export function verificationLines({ vm, snapshots, files, checksummed, bytes }: Verification): string[] {
  const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`;
  return [
    `${vm}: ${count(snapshots, 'snapshot')}, ${count(files, 'file')} as written, ${formatBytes(bytes)} read`,
    ...(checksummed > 0 ? [`${count(checksummed, 'file')} had no checksums yet and can be compared from now on`] : []),
  ];
}
