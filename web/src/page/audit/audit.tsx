// The audit log: who did what, from where, with what outcome.
import { notifications } from '@mantine/notifications';
import { useRead } from '../../api/query.ts';
import type { Output } from '../../api/types.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { moment } from '../../ui/format.ts';
import { Empty, Loaded, Page } from '../../ui/page.tsx';
import { State } from '../../ui/state.tsx';
import { Table } from '../../ui/table.tsx';

type Record = Output<'audit.list'>[number];
const objectsOf = ({ objects }: Record) => objects.map(({ kind, name, id }) => `${kind} ${name ?? id}`).join(', ');

export function AuditPage() {
  const records = useRead('audit.list', { limit: 1000 });
  const verified = (output: unknown) => {
    const { valid, problem, records: count } = output as Output<'audit.verify'>;
    notifications.show({
      message: valid ? text.audit.valid(count) : problem,
      color: valid ? 'teal' : 'red',
      autoClose: valid ? 6000 : false,
    });
  };
  return (
    <Page
      title={text.audit.title}
      actions={
        <OperationButton id="audit.verify" direct onDone={verified}>
          {text.audit.verify}
        </OperationButton>
      }
    >
      <Loaded query={records}>
        {(list) => (
          <Table
            label={text.audit.title}
            rows={list}
            rowKey={({ sequence }) => String(sequence)}
            filterText={(record) =>
              [record.actor.name, record.operation, objectsOf(record), record.outcome, record.actor.from ?? ''].join(' ')
            }
            sortedBy={{ id: 'when', down: true }}
            empty={<Empty title={text.audit.empty} />}
            columns={[
              { id: 'who', header: text.audit.who, by: ({ actor }) => actor.name, cell: ({ actor }) => <strong>{actor.name}</strong> },
              {
                id: 'what',
                header: text.audit.what,
                by: ({ operation }) => operation,
                cell: ({ operation }) => <span className="mono">{operation}</span>,
              },
              { id: 'object', header: text.audit.object, by: objectsOf, cell: objectsOf, wide: true },
              {
                id: 'outcome',
                header: text.audit.outcome,
                by: ({ outcome }) => outcome,
                cell: ({ outcome, error }) => (
                  <span title={error?.message}>
                    <State state={outcome} />
                  </span>
                ),
              },
              { id: 'from', header: text.audit.from, cell: ({ actor }) => <span className="mono">{actor.from}</span>, wide: true },
              { id: 'when', header: text.audit.when, by: ({ sequence }) => sequence, cell: ({ at }) => moment(at), end: true, wide: true },
            ]}
          />
        )}
      </Loaded>
    </Page>
  );
}
