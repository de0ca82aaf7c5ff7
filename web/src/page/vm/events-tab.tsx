// What happened to this VM.
import { eventLimit } from '../../api/live.ts';
import { useRead } from '../../api/query.ts';
import type { Vm } from '../../api/types.ts';
import { Loaded } from '../../ui/page.tsx';
import { EventTable } from '../events/table.tsx';

export function EventsTab({ vm }: { vm: Vm }) {
  const events = useRead('event.list', eventLimit);
  return (
    <Loaded query={events}>
      {(list) => <EventTable events={list.filter(({ subject, name }) => subject === vm.id || name === vm.name)} />}
    </Loaded>
  );
}
