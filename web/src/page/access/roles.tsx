// Roles and their permissions.
import { Badge, Stack } from '@mantine/core';
import { useRead } from '../../api/query.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { Empty, Loaded } from '../../ui/page.tsx';
import { Table } from '../../ui/table.tsx';

export function RolesTab() {
  const roles = useRead('role.list', {});
  return (
    <Stack>
      <div>
        <OperationButton id="role.create" variant="filled" title={text.access.createRole}>
          {text.access.createRole}
        </OperationButton>
      </div>
      <Loaded query={roles}>
        {(list) => (
          <Table
            label={text.access.roles}
            rows={list}
            rowKey={({ name }) => name}
            empty={<Empty title={text.common.nothing} />}
            columns={[
              {
                id: 'name',
                header: text.common.name,
                cell: ({ name, builtIn }) => (
                  <>
                    <strong>{name}</strong>{' '}
                    {builtIn && (
                      <Badge size="xs" variant="outline" color="gray">
                        {text.access.builtIn}
                      </Badge>
                    )}
                  </>
                ),
              },
              { id: 'summary', header: text.common.details, cell: ({ summary }) => summary, wide: true },
              {
                id: 'permissions',
                header: text.access.permissions,
                cell: ({ permissions }) => (
                  <span
                    className="cut"
                    style={{ display: 'block' }}
                    title={permissions.join(', ')}
                  >{`${permissions.length}: ${permissions.slice(0, 6).join(', ')}${permissions.length > 6 ? ' …' : ''}`}</span>
                ),
              },
              {
                id: 'actions',
                header: text.common.actions,
                end: true,
                cell: ({ name, builtIn, permissions }) =>
                  !builtIn && (
                    <>
                      <OperationButton
                        id="role.set"
                        fixed={{ role: name }}
                        first={{ permission: permissions }}
                        size="compact-xs"
                        variant="subtle"
                      >
                        {text.common.edit}
                      </OperationButton>
                      <OperationButton
                        id="role.remove"
                        fixed={{ role: name }}
                        size="compact-xs"
                        variant="subtle"
                        color="red"
                        direct
                        question={`${text.common.remove}: ${name}?`}
                      >
                        {text.common.remove}
                      </OperationButton>
                    </>
                  ),
              },
            ]}
          />
        )}
      </Loaded>
    </Stack>
  );
}
