// The NICs of a VM and the ports of the host that lead to it.
import { Stack } from '@mantine/core';
import { useRead } from '../../api/query.ts';
import type { Vm } from '../../api/types.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { Empty, Loaded, Panel } from '../../ui/page.tsx';
import { State } from '../../ui/state.tsx';
import { Table } from '../../ui/table.tsx';

export function NetworkTab({ vm }: { vm: Vm }) {
  const forwards = useRead('forward.list', { vm: vm.id });
  const fixed = { vm: vm.id };
  const object = `vm:${vm.name}`;
  return (
    <Stack gap="md">
      <Panel
        title={text.nics.title}
        padding={0}
        actions={
          <OperationButton id="nic.add" fixed={fixed} object={object} size="xs">
            {text.nics.add}
          </OperationButton>
        }
      >
        <Table
          label={text.nics.title}
          rows={vm.nics}
          rowKey={({ id }) => id}
          empty={<Empty title={text.nics.empty} />}
          columns={[
            { id: 'id', header: text.nics.title, cell: ({ id }) => <strong>{id}</strong> },
            { id: 'network', header: text.nics.network, cell: ({ network }) => network },
            { id: 'addresses', header: text.nics.addresses, cell: ({ addresses }) => <span className="mono">{addresses.join(', ')}</span> },
            { id: 'mac', header: text.nics.mac, cell: ({ mac }) => <span className="mono">{mac}</span>, wide: true },
            {
              id: 'link',
              header: text.nics.link,
              cell: ({ up }) => <State state={up ? text.nics.up : text.nics.down} kind={up ? 'good' : 'bad'} />,
            },
            { id: 'groups', header: text.nics.groups, cell: ({ securityGroups }) => securityGroups.join(', '), wide: true },
            {
              id: 'actions',
              header: text.common.actions,
              end: true,
              cell: (nic) => (
                <>
                  <OperationButton
                    id="nic.set"
                    fixed={{ ...fixed, nic: nic.id, link: nic.up ? 'down' : 'up' }}
                    object={object}
                    size="compact-xs"
                    variant="subtle"
                    direct
                  >
                    {nic.up ? text.nics.linkDown : text.nics.linkUp}
                  </OperationButton>
                  <OperationButton
                    id="nic.set"
                    title={text.nics.edit}
                    fixed={{ ...fixed, nic: nic.id }}
                    object={object}
                    size="compact-xs"
                    variant="subtle"
                  >
                    {text.common.edit}
                  </OperationButton>
                  <OperationButton
                    id="nic.remove"
                    fixed={{ ...fixed, nic: nic.id }}
                    object={object}
                    size="compact-xs"
                    variant="subtle"
                    color="red"
                    direct
                    question={`${text.common.remove}: ${nic.id}?`}
                  >
                    {text.common.remove}
                  </OperationButton>
                </>
              ),
            },
          ]}
        />
      </Panel>
      <Panel
        title={text.nics.forwards}
        padding={0}
        actions={
          <OperationButton id="forward.add" fixed={fixed} object={object} size="xs">
            {text.nics.addForward}
          </OperationButton>
        }
      >
        <Loaded query={forwards}>
          {(list) => (
            <Table
              label={text.nics.forwards}
              rows={list}
              rowKey={({ name }) => name}
              empty={<Empty title={text.nics.noForwards} />}
              columns={[
                { id: 'name', header: text.forwards.host, cell: ({ name }) => <span className="mono">{name}</span> },
                { id: 'target', header: text.forwards.target, cell: ({ targetPort, nic }) => `${nic}:${targetPort}` },
                { id: 'state', header: text.common.state, cell: ({ state }) => <State state={state} /> },
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
      </Panel>
    </Stack>
  );
}
