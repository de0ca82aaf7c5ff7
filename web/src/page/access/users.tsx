// Users, their roles, and what they sign in with.
import { Stack } from '@mantine/core';
import { useRead } from '../../api/query.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { Empty, Loaded } from '../../ui/page.tsx';
import { State } from '../../ui/state.tsx';
import { Table } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';

export function UsersTab() {
  const users = useRead('user.list', {});
  const create = (
    <OperationButton id="user.create" variant="filled" title={text.access.createUser} show={['user', 'password', 'role', 'uid']}>
      {text.access.createUser}
    </OperationButton>
  );
  return (
    <Loaded query={users}>
      {(list) => (
        <Stack align="stretch">
          <div>{create}</div>
          <Table
            label={text.access.users}
            rows={list}
            rowKey={({ id }) => id}
            filterText={({ name, grants }) => [name, ...grants.map(({ role }) => role)].join(' ')}
            sortedBy={{ id: 'name' }}
            empty={<Empty title={text.access.emptyUsers} />}
            columns={[
              { id: 'name', header: text.common.name, by: ({ name }) => name, cell: ({ name }) => <strong>{name}</strong> },
              {
                id: 'grants',
                header: text.access.grants,
                cell: ({ grants }) => grants.map(({ role, on }) => (on === 'host' ? role : `${role} (${on})`)).join(', '),
              },
              {
                id: 'state',
                header: text.common.state,
                by: ({ disabled }) => String(disabled),
                cell: ({ disabled }) => (
                  <State state={disabled ? text.access.disabled : text.access.enabled} kind={disabled ? 'none' : 'good'} />
                ),
                wide: true,
              },
              {
                id: 'factor',
                header: text.access.secondFactor,
                cell: ({ signIn }) => (signIn.totp || signIn.passkeys.length > 0 ? text.common.yes : text.common.no),
                wide: true,
              },
              {
                id: 'last',
                header: text.access.lastSignIn,
                by: ({ lastSignInAt }) => lastSignInAt,
                cell: ({ lastSignInAt }) => (lastSignInAt === null ? text.common.never : <Ago at={lastSignInAt} />),
                wide: true,
              },
              {
                id: 'actions',
                header: text.common.actions,
                end: true,
                cell: ({ name, disabled }) => (
                  <>
                    <OperationButton
                      id="user.grant"
                      title={text.access.grant}
                      fixed={{ user: name }}
                      first={{ on: 'host' }}
                      size="compact-xs"
                      variant="subtle"
                    >
                      {text.access.grant}
                    </OperationButton>
                    <OperationButton
                      id="user.revoke"
                      title={text.access.revoke}
                      fixed={{ user: name }}
                      first={{ on: 'host' }}
                      size="compact-xs"
                      variant="subtle"
                      className="hide-small"
                    >
                      {text.access.revoke}
                    </OperationButton>
                    <OperationButton
                      id="user.password"
                      title={text.access.password}
                      fixed={{ user: name }}
                      show={['password']}
                      size="compact-xs"
                      variant="subtle"
                      className="hide-small"
                    >
                      {text.access.password}
                    </OperationButton>
                    <OperationButton
                      id="user.set"
                      fixed={{ user: name, disabled: !disabled }}
                      size="compact-xs"
                      variant="subtle"
                      direct
                      className="hide-small"
                      {...(disabled ? {} : { question: `${text.access.disable}: ${name}?` })}
                    >
                      {disabled ? text.access.enable : text.access.disable}
                    </OperationButton>
                    <OperationButton
                      id="user.remove"
                      fixed={{ user: name }}
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
        </Stack>
      )}
    </Loaded>
  );
}
