// Ports of this host that lead to VMs.
import { Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useRead } from '../../api/query.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { Empty, Loaded, Page } from '../../ui/page.tsx';
import { State } from '../../ui/state.tsx';
import { Table } from '../../ui/table.tsx';

export function ForwardsPage() {
  const forwards = useRead('forward.list', {});
  const add = (
    <OperationButton id="forward.add" variant="filled" title={text.forwards.add}>
      {text.forwards.add}
    </OperationButton>
  );
  return (
    <Page title={text.forwards.title} actions={add}>
      <Loaded query={forwards}>
        {(list) => (
          <Table
            label={text.forwards.title}
            rows={list}
            rowKey={({ name }) => name}
            filterText={({ name, vm }) => `${name} ${vm}`}
            empty={<Empty title={text.forwards.empty} help={text.forwards.emptyHelp} action={add} />}
            columns={[
              {
                id: 'name',
                header: text.forwards.host,
                by: ({ port }) => port,
                cell: ({ name, problem }) => (
                  <>
                    <span className="mono">{name}</span>
                    {problem && (
                      <Text fz="xs" c="red">
                        {problem}
                      </Text>
                    )}
                  </>
                ),
              },
              {
                id: 'vm',
                header: text.forwards.vm,
                by: ({ vm }) => vm,
                cell: ({ vm }) => (
                  <Link to="/vms/$vm/$tab" params={{ vm, tab: 'network' }} className="link">
                    {vm}
                  </Link>
                ),
              },
              { id: 'target', header: text.forwards.target, cell: ({ targetPort, nic }) => `${nic}:${targetPort}`, wide: true },
              { id: 'state', header: text.common.state, by: ({ state }) => state, cell: ({ state }) => <State state={state} /> },
              {
                id: 'actions',
                header: text.common.actions,
                end: true,
                cell: ({ name }) => (
                  <OperationButton
                    id="forward.remove"
                    fixed={{ forward: name }}
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
    </Page>
  );
}
