// Points for reading: the tree of `viv snapshot ls` and the sheet of `viv snapshot show`.
import type { Snapshot, Verification } from '../../contract/snapshot.ts';
import { formatBytes, formatTime } from '../quantity.ts';
import { renderSheet, renderTable } from '../table.ts';

interface Row {
  readonly branch: string;
  readonly point: Snapshot;
}

/** Each point under the one before it, with the lines that join them; siblings by age. */
export function treeRows(points: readonly Snapshot[]): Row[] {
  const ids = new Set(points.map(({ id }) => id));
  const childrenOf = (parent: string | null) =>
    points.filter((point) => (point.parent !== null && ids.has(point.parent) ? point.parent : null) === parent);
  const rows: Row[] = [];
  const visit = (point: Snapshot, lead: string, own: string): void => {
    rows.push({ branch: `${lead}${own}`, point });
    const children = childrenOf(point.id);
    // A line of points goes straight down; only where it divides it is indented.
    const below = own === '' ? lead : `${lead}${own.startsWith('├') ? '│  ' : '   '}`;
    children.forEach((child, nth) => {
      visit(child, below, children.length === 1 ? '' : nth === children.length - 1 ? '└─ ' : '├─ ');
    });
  };
  for (const root of childrenOf(null)) visit(root, '', '');
  return rows;
}

export const pointName = ({ label, id }: Snapshot): string => label ?? id;

export function snapshotTree(points: readonly Snapshot[], width: number | undefined): string[] {
  return renderTable(
    treeRows(points),
    [
      {
        title: 'POINT',
        value: ({ branch, point }) =>
          `${branch}${pointName(point)}${point.current ? '  ◄ here' : ''}${point.damage === null ? '' : '  DAMAGED'}`,
        whole: true,
      },
      { title: 'ID', value: ({ point }) => point.id, whole: true },
      { title: 'MADE', value: ({ point }) => formatTime(point.createdAt) },
      { title: 'MEMORY', value: ({ point }) => memoryOf(point), right: true },
      { title: 'DISKS', value: ({ point }) => formatBytes(point.diskBytes), right: true },
    ],
    width,
  );
}

const memoryOf = ({ memory, writing, memoryBytes }: Snapshot): string => (!memory ? '-' : writing ? 'writing' : formatBytes(memoryBytes));

export function snapshotSheet(point: Snapshot): string[] {
  return renderSheet([
    ['point', pointName(point)],
    ['id', point.id],
    ['machine', point.vm],
    ['made', formatTime(point.createdAt)],
    ['after', point.parent ?? 'nothing; it is the first'],
    ['memory', point.memory ? memoryOf(point) : 'none; restored, the machine boots'],
    ['disks', `${formatBytes(point.diskBytes)} of their own`],
    ['looked at', point.checkedAt === null ? null : formatTime(point.checkedAt)],
    ['damaged', point.damage],
    ['stood still', `${point.pausedMs} ms`],
    ['made by', point.auto === null ? null : `the policy (${point.auto}), which may remove it`],
    [
      'thumbnail',
      point.thumbnail === 'png' ? `a picture of the screen: viv snapshot thumbnail ${point.vm} ${pointName(point)} FILE` : null,
    ],
    ['template', point.template ? 'yes, kept until removed with --force' : 'no'],
  ]);
}

export function verificationLines({ vm, points, files, summed, bytes }: Verification): string[] {
  const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`;
  return [
    `${vm}: ${count(points, 'point')}, ${count(files, 'file')} as written, ${formatBytes(bytes)} read`,
    ...(summed > 0 ? [`${count(summed, 'file')} had no sums yet and can be compared from now on`] : []),
  ];
}
