// Facts as pairs; what is not known is left out.
import { Fragment, type ReactNode } from 'react';

export function Sheet({ rows }: { rows: readonly (readonly [string, ReactNode] | false | null | undefined)[] }) {
  return (
    <dl className="sheet">
      {rows.map(
        (row) =>
          row &&
          row[1] !== null &&
          row[1] !== undefined && (
            <Fragment key={row[0]}>
              <dt>{row[0]}</dt>
              <dd>{row[1]}</dd>
            </Fragment>
          ),
      )}
    </dl>
  );
}
