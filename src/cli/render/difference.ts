// What `viv snapshot diff` prints: each disk with how much of it differs, below it where, and the files.
import type { Difference } from '../../contract/snapshot.ts';
import { formatBytes } from './quantity.ts';
import { renderTable } from './table.ts';
import { clean } from './text.ts';

interface Row {
  readonly disk: string;
  readonly offset: string;
  readonly length: string;
}

/** More of them would push the checksums off the screen; --json has them all. */
const mostShown = 20;

const signs = { added: '+', removed: '-', changed: '~' } as const;

export const differenceTable = (difference: Difference, width: number | undefined): string[] => [
  ...diskLines(difference, width),
  ...fileLines(difference),
];

function fileLines({ files, filesReason }: Difference): string[] {
  const reason = filesReason === null ? [] : [`files: ${filesReason}`];
  if (files === null) return reason;
  const { added, removed, changed, list, more } = files;
  return [
    `files: ${added} added, ${removed} removed, ${changed} changed`,
    ...list.map(({ on, path, change, kind }) => `${signs[change]} ${on}:${clean(path)}${kind === 'directory' ? '/' : ''}`),
    ...(more > 0 ? [`and ${more} more`] : []),
    ...reason,
  ];
}

function diskLines({ disks }: Difference, width: number | undefined): string[] {
  return disks.flatMap(({ id, changedBytes, ranges, more }) => {
    if (changedBytes === 0) return [`${id}: nothing differs`];
    const rows: Row[] = ranges.slice(0, mostShown).map(({ offset, length }) => ({
      disk: id,
      offset: `0x${offset.toString(16)}`,
      length: formatBytes(length),
    }));
    const total = ranges.length + more;
    const left = total - rows.length;
    return [
      `${id}: ${formatBytes(changedBytes)} differ, in ${total} ${total === 1 ? 'region' : 'regions'}`,
      ...renderTable(
        rows,
        [
          { title: 'DISK', value: ({ disk }) => disk },
          { title: 'OFFSET', value: ({ offset }) => offset, right: true },
          { title: 'LENGTH', value: ({ length }) => length, right: true },
        ],
        width,
      ),
      ...(left > 0 ? [`and ${left} more${more > 0 ? '' : '; --json has them all'}`] : []),
    ];
  });
}
