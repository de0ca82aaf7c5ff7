// Events, newest first.
import type { Event } from '../../api/types.ts';
import { text } from '../../language/index.ts';
import { Empty } from '../../ui/page.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';

const columns = (): Column<Event>[] => [
  { id: 'message', header: text.events.message, cell: ({ message }) => message, by: ({ message }) => message },
  { id: 'type', header: text.events.type, cell: ({ type }) => <span className="mono">{type}</span>, by: ({ type }) => type, wide: true },
  { id: 'when', header: text.events.when, cell: ({ occurredAt }) => <Ago at={occurredAt} />, by: ({ sequence }) => sequence, end: true },
];
const filterText = ({ message, type, name }: Event) => `${message} ${type} ${name ?? ''}`;

export function EventTable({ events }: { events: readonly Event[] }) {
  return (
    <Table
      label={text.events.title}
      rows={events}
      columns={columns()}
      rowKey={({ sequence }) => String(sequence)}
      filterText={filterText}
      sortedBy={{ id: 'when', down: true }}
      empty={<Empty title={text.events.empty} />}
    />
  );
}
