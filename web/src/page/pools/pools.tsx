// Warm pools: forks that are kept ready.
import { Text } from '@mantine/core';
import { Link, useNavigate } from '@tanstack/react-router';
import { useRead } from '../../api/query.ts';
import type { Vm } from '../../api/types.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { bytes } from '../../ui/format.ts';
import { Empty, Loaded, Page } from '../../ui/page.tsx';
import { Table } from '../../ui/table.tsx';

export function PoolsPage() {
  const pools = useRead('warm-pool.list', {});
  const navigate = useNavigate();
  const create = (
    <OperationButton id="warm-pool.create" variant="filled" title={text.pools.create}>
      {text.pools.create}
    </OperationButton>
  );
  return (
    <Page title={text.pools.title} actions={create}>
      <Loaded query={pools}>
        {(list) => (
          <Table
            label={text.pools.title}
            rows={list}
            rowKey={({ name }) => name}
            empty={<Empty title={text.pools.empty} help={text.pools.emptyHelp} action={create} />}
            columns={[
              {
                id: 'name',
                header: text.common.name,
                by: ({ name }) => name,
                cell: ({ name, problem }) => (
                  <>
                    <strong>{name}</strong>
                    {problem && (
                      <Text fz="xs" c="red">
                        {problem}
                      </Text>
                    )}
                  </>
                ),
              },
              {
                id: 'source',
                header: text.pools.source,
                cell: ({ vm, snapshot }) => (
                  <Link to="/vms/$vm/$tab" params={{ vm, tab: 'snapshots' }} className="link">
                    {vm}@{snapshot}
                  </Link>
                ),
                wide: true,
              },
              {
                id: 'ready',
                header: text.pools.ready,
                by: ({ ready }) => ready,
                cell: ({ ready, size }) => text.common.of(String(ready), String(size)),
                end: true,
              },
              {
                id: 'memory',
                header: text.pools.memory,
                by: ({ memoryBytes }) => memoryBytes,
                cell: ({ memoryBytes }) => bytes(memoryBytes),
                end: true,
                wide: true,
              },
              {
                id: 'actions',
                header: text.common.actions,
                end: true,
                cell: ({ name, size }) => (
                  <>
                    <OperationButton
                      id="warm-pool.take"
                      fixed={{ warmPool: name }}
                      size="compact-xs"
                      variant="subtle"
                      direct
                      onDone={(vm) => void navigate({ to: '/vms/$vm/$tab', params: { vm: (vm as Vm).name, tab: 'overview' } })}
                    >
                      {text.pools.take}
                    </OperationButton>
                    <OperationButton
                      id="warm-pool.set"
                      title={text.pools.resize}
                      fixed={{ warmPool: name }}
                      first={{ size }}
                      size="compact-xs"
                      variant="subtle"
                    >
                      {text.pools.resize}
                    </OperationButton>
                    <OperationButton
                      id="warm-pool.remove"
                      fixed={{ warmPool: name }}
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
    </Page>
  );
}
