// The table of every list: sorted by its columns, filtered by a text, with rows that can be selected, and drawn only as far as they are seen.
import { ActionIcon, Checkbox, Group, Text, TextInput } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { text } from '../language/index.ts';

export interface Column<Row> {
  readonly id: string;
  readonly header: string;
  readonly cell: (row: Row) => ReactNode;
  /** What it is sorted by; none: it is not sorted. */
  readonly by?: (row: Row) => string | number | null;
  readonly end?: boolean;
  /** Left out on small screens. */
  readonly wide?: boolean;
}

export interface TableProps<Row> {
  readonly label: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  readonly rowKey: (row: Row) => string;
  readonly nameOf?: (row: Row) => string;
  /** What the filter looks at; none: there is no filter. */
  readonly filterText?: (row: Row) => string;
  readonly filterLabel?: string;
  readonly empty: ReactNode;
  /** Actions on the selected rows; none: rows cannot be selected. */
  readonly selection?: (rows: readonly Row[], clear: () => void) => ReactNode;
  readonly tools?: ReactNode;
  readonly sortedBy?: { readonly id: string; readonly down?: boolean };
}

const rowHeight = 43;

export function Table<Row>(props: TableProps<Row>) {
  const { rows, columns, rowKey, filterText, selection } = props;
  const [written, setWritten] = useState('');
  const filter = useDeferredValue(written.trim().toLowerCase());
  const [sort, setSort] = useState(props.sortedBy ?? null);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const scroller = useRef<HTMLElement>(null);

  // The text of a row is made once, and its filter is a search in it.
  const searchable = useMemo(() => (filterText ? rows.map((row) => filterText(row).toLowerCase()) : []), [rows, filterText]);
  const shown = useMemo(() => {
    const words = filter.split(/\s+/).filter(Boolean);
    const kept = words.length === 0 ? [...rows] : rows.filter((_, index) => words.every((word) => searchable[index]?.includes(word)));
    const by = columns.find(({ id }) => id === sort?.id)?.by;
    if (!by) return kept;
    const factor = sort?.down ? -1 : 1;
    return kept
      .map((row) => [by(row), row] as const)
      .sort(([a], [b]) => factor * compare(a, b))
      .map(([, row]) => row);
  }, [rows, searchable, filter, columns, sort]);

  // A row that is not shown is not selected.
  const selected = selection ? shown.filter((row) => chosen.has(rowKey(row))) : [];
  // biome-ignore lint/correctness/useExhaustiveDependencies: other rows are seen from their first
  useEffect(() => void scroller.current?.scrollTo({ top: 0 }), [filter, sort]);

  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    enabled: shown.length > 60,
  });
  const items = shown.length > 60 ? virtual.getVirtualItems() : shown.map((_, index) => ({ index, start: 0, end: 0 }));
  const before = shown.length > 60 ? (items[0]?.start ?? 0) : 0;
  const after = shown.length > 60 ? virtual.getTotalSize() - (items.at(-1)?.end ?? 0) : 0;
  const span = columns.length + (selection ? 1 : 0);

  const toggle = (key: string, on: boolean) => {
    const next = new Set(selected.map(rowKey));
    if (on) next.add(key);
    else next.delete(key);
    setChosen(next);
  };
  const clear = () => setChosen(new Set());

  return (
    <section className="panel">
      {(filterText || props.tools) && rows.length > 0 && (
        <Group p="sm" gap="sm" justify="space-between">
          <Group gap="sm" className="grow">
            {filterText && (
              <TextInput
                size="sm"
                w={320}
                maw="100%"
                aria-label={props.filterLabel ?? text.common.filter}
                placeholder={props.filterLabel ?? text.common.filter}
                value={written}
                onChange={({ currentTarget }) => setWritten(currentTarget.value)}
                rightSection={
                  written && (
                    <ActionIcon variant="subtle" color="gray" size="sm" aria-label={text.common.clear} onClick={() => setWritten('')}>
                      ×
                    </ActionIcon>
                  )
                }
              />
            )}
            {props.tools}
          </Group>
          {selection && selected.length > 0 ? (
            <Group gap="xs" role="toolbar" aria-label={text.common.actions}>
              <Text fz="sm" fw={600}>
                {text.common.selected(selected.length)}
              </Text>
              {selection(selected, clear)}
            </Group>
          ) : (
            <Text fz="xs" c="dimmed" aria-live="polite">
              {text.common.shown(shown.length, rows.length)}
            </Text>
          )}
        </Group>
      )}
      {rows.length === 0 ? (
        props.empty
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by the keyboard
        <section ref={scroller} className="table-scroll" tabIndex={0} aria-label={props.label}>
          <table className="table" aria-label={props.label} aria-rowcount={shown.length + 1}>
            <thead>
              <tr>
                {selection && (
                  <th className="check">
                    <Checkbox
                      size="xs"
                      aria-label={text.common.selectAll}
                      checked={shown.length > 0 && selected.length === shown.length}
                      indeterminate={selected.length > 0 && selected.length < shown.length}
                      onChange={({ currentTarget }) => setChosen(new Set(currentTarget.checked ? shown.map(rowKey) : []))}
                    />
                  </th>
                )}
                {columns.map((column) => (
                  <th
                    key={column.id}
                    className={`${column.end ? 'end' : ''} ${column.wide ? 'wide' : ''}`}
                    aria-sort={sort?.id === column.id ? (sort.down ? 'descending' : 'ascending') : undefined}
                  >
                    {column.by ? (
                      <button
                        type="button"
                        title={text.common.sort(column.header)}
                        onClick={() => setSort(sort?.id === column.id ? { id: column.id, down: !sort.down } : { id: column.id })}
                      >
                        {column.header}
                        {sort?.id === column.id ? (sort.down ? ' ↓' : ' ↑') : ''}
                      </button>
                    ) : (
                      column.header
                    )}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {before > 0 && (
                <tr>
                  <td colSpan={span} style={{ height: before, padding: 0 }} />
                </tr>
              )}
              {items.map(({ index }) => {
                const row = shown[index];
                if (row === undefined) return null;
                const key = rowKey(row);
                return (
                  <tr key={key} aria-selected={selection ? chosen.has(key) : undefined} aria-rowindex={index + 2}>
                    {selection && (
                      <td className="check">
                        <Checkbox
                          size="xs"
                          aria-label={text.common.select(props.nameOf?.(row) ?? key)}
                          checked={chosen.has(key)}
                          onChange={({ currentTarget }) => toggle(key, currentTarget.checked)}
                        />
                      </td>
                    )}
                    {columns.map((column) => (
                      <td key={column.id} className={`${column.end ? 'end' : ''} ${column.wide ? 'wide' : ''}`}>
                        {column.cell(row)}
                      </td>
                    ))}
                  </tr>
                );
              })}
              {after > 0 && (
                <tr>
                  <td colSpan={span} style={{ height: after, padding: 0 }} />
                </tr>
              )}
              {shown.length === 0 && (
                <tr>
                  <td colSpan={span}>
                    <Text ta="center" c="dimmed" py="md">
                      {text.common.noMatch}
                    </Text>
                  </td>
                </tr>
              )}
            </tbody>
          </table>
        </section>
      )}
    </section>
  );
}

function compare(a: string | number | null, b: string | number | null): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}
