// Sessions: who is signed in, from where, by what.
import { Badge } from '@mantine/core';
import { useRead } from '../../api/query.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { Empty, Loaded } from '../../ui/page.tsx';
import { Table } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';

export function SessionsTab() {
  const sessions = useRead('session.list', {});
  return (
    <Loaded query={sessions}>
      {(list) => (
        <Table
          label={text.access.sessions}
          rows={list}
          rowKey={({ id }) => id}
          sortedBy={{ id: 'used', down: true }}
          empty={<Empty title={text.common.nothing} />}
          columns={[
            {
              id: 'user',
              header: text.session.user,
              by: ({ user }) => user,
              cell: ({ user, current }) => (
                <>
                  <strong>{user}</strong> {current && <Badge size="xs">{text.access.current}</Badge>}
                </>
              ),
            },
            { id: 'method', header: text.access.method, by: ({ method }) => method, cell: ({ method }) => method, wide: true },
            { id: 'address', header: text.access.address, cell: ({ address }) => <span className="mono">{address}</span>, wide: true },
            {
              id: 'client',
              header: text.access.client,
              cell: ({ client }) => (
                <span className="cut" style={{ display: 'block' }} title={client ?? ''}>
                  {client}
                </span>
              ),
              wide: true,
            },
            {
              id: 'used',
              header: text.access.lastUsed,
              by: ({ lastUsedAt }) => lastUsedAt,
              cell: ({ lastUsedAt }) => <Ago at={lastUsedAt} />,
            },
            {
              id: 'actions',
              header: text.common.actions,
              end: true,
              cell: ({ id, user }) => (
                <OperationButton
                  id="session.remove"
                  fixed={{ session: id }}
                  size="compact-xs"
                  variant="subtle"
                  color="red"
                  direct
                  question={`${text.access.endSession}: ${user}?`}
                >
                  {text.access.endSession}
                </OperationButton>
              ),
            },
          ]}
        />
      )}
    </Loaded>
  );
}
