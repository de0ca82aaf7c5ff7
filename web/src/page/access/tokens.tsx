// API tokens. A new one's secret is shown once.
import { Button, Code, CopyButton, Modal, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { useRead } from '../../api/query.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { moment } from '../../ui/format.ts';
import { Empty, Loaded } from '../../ui/page.tsx';
import { Table } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';

export function TokensTab() {
  const tokens = useRead('token.list', {});
  const [secret, setSecret] = useState<string>();
  return (
    <Stack>
      <div>
        <OperationButton
          id="token.create"
          variant="filled"
          title={text.access.createToken}
          show={['name', 'permission', 'on', 'days']}
          onDone={(made) => setSecret((made as { secret: string }).secret)}
        >
          {text.access.createToken}
        </OperationButton>
      </div>
      <Loaded query={tokens}>
        {(list) => (
          <Table
            label={text.access.tokens}
            rows={list}
            rowKey={({ id }) => id}
            empty={<Empty title={text.access.emptyTokens} help={text.access.emptyTokensHelp} />}
            columns={[
              { id: 'name', header: text.common.name, by: ({ name }) => name, cell: ({ name }) => <strong>{name}</strong> },
              { id: 'owner', header: text.access.owner, by: ({ user }) => user, cell: ({ user }) => user },
              {
                id: 'permissions',
                header: text.access.permissions,
                cell: ({ permissions, on }) =>
                  `${permissions?.join(', ') ?? text.access.everything} · ${on?.join(', ') ?? text.access.everywhere}`,
                wide: true,
              },
              {
                id: 'expires',
                header: text.access.expires,
                by: ({ expiresAt }) => expiresAt,
                cell: ({ expiresAt }) => moment(expiresAt),
                wide: true,
              },
              {
                id: 'used',
                header: text.access.lastUsed,
                by: ({ lastUsedAt }) => lastUsedAt,
                cell: ({ lastUsedAt }) => (lastUsedAt === null ? text.common.never : <Ago at={lastUsedAt} />),
                wide: true,
              },
              {
                id: 'actions',
                header: text.common.actions,
                end: true,
                cell: ({ id, name }) => (
                  <OperationButton
                    id="token.remove"
                    fixed={{ token: id }}
                    size="compact-xs"
                    variant="subtle"
                    color="red"
                    direct
                    question={`${text.common.remove}: ${name}?`}
                  >
                    {text.common.remove}
                  </OperationButton>
                ),
              },
            ]}
          />
        )}
      </Loaded>
      <Modal
        opened={secret !== undefined}
        onClose={() => setSecret(undefined)}
        title={text.access.secret}
        closeButtonProps={{ 'aria-label': text.common.close }}
      >
        <Stack>
          <Text fz="sm">{text.access.secretHelp}</Text>
          <Code block>{secret}</Code>
          <CopyButton value={secret ?? ''}>
            {({ copied, copy }) => <Button onClick={copy}>{copied ? text.common.copied : text.common.copy}</Button>}
          </CopyButton>
        </Stack>
      </Modal>
    </Stack>
  );
}
