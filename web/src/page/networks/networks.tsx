// Networks, and the NICs in each.
import { Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useRead } from '../../api/query.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { bytes } from '../../ui/format.ts';
import { Empty, Loaded, Page } from '../../ui/page.tsx';
import { Table } from '../../ui/table.tsx';

export function NetworksPage() {
  const networks = useRead('network.list', {});
  const create = (
    <OperationButton id="network.create" variant="filled" title={text.networks.create} show={['network', 'kind', 'ipv4']}>
      {text.networks.create}
    </OperationButton>
  );
  return (
    <Page title={text.networks.title} actions={create}>
      <Loaded query={networks}>
        {(list) => (
          <Table
            label={text.networks.title}
            rows={list}
            rowKey={({ name }) => name}
            filterText={({ name, kind, ipv4, nics }) => [name, kind, ipv4 ?? '', ...nics.map(({ vm }) => vm)].join(' ')}
            sortedBy={{ id: 'name' }}
            empty={<Empty title={text.networks.empty} help={text.networks.emptyHelp} action={create} />}
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
                id: 'kind',
                header: text.networks.kind,
                by: ({ kind }) => kind,
                cell: ({ kind, interface: uplink }) => (uplink ? `${kind} · ${uplink}` : kind),
              },
              {
                id: 'subnets',
                header: text.networks.subnets,
                by: ({ ipv4 }) => ipv4,
                cell: ({ ipv4, ipv6 }) => <span className="mono">{[ipv4, ipv6].filter(Boolean).join(', ')}</span>,
                wide: true,
              },
              {
                id: 'nics',
                header: text.networks.nics,
                by: ({ nics }) => nics.length,
                cell: ({ nics }) => (
                  <span className="cut" style={{ display: 'block' }}>
                    {nics.length === 0
                      ? text.common.none
                      : nics.slice(0, 4).map(({ vm, nic }, index) => (
                          <span key={`${vm} ${nic}`}>
                            {index > 0 && ', '}
                            <Link to="/vms/$vm/$tab" params={{ vm, tab: 'network' }} className="link">
                              {vm}
                            </Link>
                          </span>
                        ))}
                    {nics.length > 4 && ` + ${nics.length - 4}`}
                  </span>
                ),
              },
              {
                id: 'traffic',
                header: text.networks.traffic,
                wide: true,
                cell: ({ nics }) => {
                  const sum = (pick: (nic: (typeof nics)[number]) => number | undefined) =>
                    nics.reduce((total, nic) => total + (pick(nic) ?? 0), 0);
                  const [out, into] = [sum(({ fromGuest }) => fromGuest?.bytes), sum(({ toGuest }) => toGuest?.bytes)];
                  return out + into === 0 ? '' : `↑ ${bytes(out)} ↓ ${bytes(into)}`;
                },
              },
              {
                id: 'actions',
                header: text.common.actions,
                end: true,
                cell: ({ name, nics }) => (
                  <>
                    <OperationButton
                      id="network.set"
                      fixed={{ network: name }}
                      object={`network:${name}`}
                      size="compact-xs"
                      variant="subtle"
                    >
                      {text.common.edit}
                    </OperationButton>
                    <OperationButton
                      id="network.remove"
                      fixed={{ network: name }}
                      object={`network:${name}`}
                      size="compact-xs"
                      variant="subtle"
                      color="red"
                      direct
                      question={`${text.common.remove}: ${name}?`}
                      reason={
                        nics.length > 0
                          ? `${text.networks.nics}: ${nics
                              .map(({ vm }) => vm)
                              .slice(0, 5)
                              .join(', ')}`
                          : undefined
                      }
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
