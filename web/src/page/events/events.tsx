// Everything that happened on this host, as it happens.
import { eventLimit } from '../../api/live.ts';
import { useRead } from '../../api/query.ts';
import { text } from '../../language/index.ts';
import { Loaded, Page } from '../../ui/page.tsx';
import { EventTable } from './table.tsx';

export function EventsPage() {
  const events = useRead('event.list', eventLimit);
  return (
    <Page title={text.events.title}>
      <Loaded query={events}>{(list) => <EventTable events={list} />}</Loaded>
    </Page>
  );
}
