// Tables and sheets as text: columns as wide as their content, cut to the terminal's width where there is one.
import { clean, columns, cut } from './text.ts';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  /** Numbers stand to the right. */
  readonly right?: boolean;
  /** Never cut: what other commands take, names and ids. */
  readonly whole?: boolean;
}

const gap = 2;
const narrowest = 6;

/**
 * Lines of a table with a heading. `width` is the terminal's (undefined: not a terminal, nothing is cut).
 * `below` gives a further line under a row, such as the reason why it is broken.
 */
export function renderTable<Row>(
  rows: readonly Row[],
  shape: readonly Column<Row>[],
  width: number | undefined,
  below?: (row: Row) => string | null,
): string[] {
  const cells = rows.map((row) => shape.map((column) => clean(column.value(row))));
  const natural = shape.map((column, index) => Math.max(columns(column.title), ...cells.map((line) => columns(line[index] ?? ''))));
  const widths =
    width === undefined
      ? natural
      : fit(
          natural,
          shape.map((column) => column.whole === true),
          width - gap * (shape.length - 1),
        );
  const line = (values: readonly string[]) =>
    values
      .map((value, index) => {
        const room = widths[index] ?? 0;
        const text = cut(value, room);
        const space = ' '.repeat(Math.max(0, room - columns(text)));
        return shape[index]?.right === true ? space + text : text + space;
      })
      .join(' '.repeat(gap))
      .trimEnd();
  const lines = [line(shape.map((column) => column.title))];
  cells.forEach((values, index) => {
    lines.push(line(values));
    const more = below?.(rows[index] as Row);
    if (more) lines.push(width === undefined ? `  ${clean(more)}` : cut(`  ${clean(more)}`, width));
  });
  return lines;
}

/** Takes from the widest column that may be cut, one column at a time, until the whole fits or nothing more can give. */
function fit(natural: readonly number[], whole: readonly boolean[], room: number): number[] {
  const widths = [...natural];
  let over = widths.reduce((sum, width) => sum + width, 0) - room;
  while (over > 0) {
    let widest = -1;
    widths.forEach((width, index) => {
      if (whole[index] !== true && width > narrowest && width > (widths[widest] ?? 0)) widest = index;
    });
    if (widest === -1) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    over -= 1;
  }
  return widths;
}

/** `key   value` lines; a value of several lines stays under its first. Null values are left out. */
export function renderSheet(pairs: readonly (readonly [string, string | readonly string[] | null])[]): string[] {
  const shown = pairs.filter((pair): pair is readonly [string, string | readonly string[]] => pair[1] !== null && pair[1].length > 0);
  const room = Math.max(0, ...shown.map(([key]) => columns(key))) + gap;
  return shown.flatMap(([key, value]) =>
    (typeof value === 'string' ? [value] : value).map((text, index) => `${(index === 0 ? key : '').padEnd(room)}${clean(text)}`),
  );
}
