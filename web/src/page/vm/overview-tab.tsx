// What a VM is and uses.
import { SimpleGrid, Stack } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import type { Vm } from '../../api/types.ts';
import { text } from '../../language/index.ts';
import { bytes, moment } from '../../ui/format.ts';
import { Panel, Waiting } from '../../ui/page.tsx';
import { Sheet } from '../../ui/sheet.tsx';
import { Table } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';

const Charts = lazy(() => import('./charts.tsx').then(({ Charts }) => ({ default: Charts })));

export function OverviewTab({ vm }: { vm: Vm }) {
  return (
    <Stack gap="md">
      <Suspense fallback={<Waiting />}>
        <Charts key={vm.id} vm={vm} />
      </Suspense>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
        <Panel title={text.common.details}>
          <Sheet
            rows={[
              [text.vms.image, vm.image ?? text.common.none],
              [text.vms.cpus, vm.cpus],
              [text.vms.memory, bytes(vm.memoryBytes)],
              [text.vms.address, vm.nics.flatMap(({ addresses }) => addresses).join(', ') || text.common.none],
              [text.vm.arch, vm.arch],
              [text.vm.firmware, vm.firmware.toUpperCase()],
              [text.vm.accel, (vm.accelInUse ?? vm.accel).toUpperCase()],
              [
                text.vm.agent,
                vm.agent.connected ? `${text.vm.agentYes}${vm.agent.version ? ` (${vm.agent.version})` : ''}` : text.vm.agentNo,
              ],
              ['TPM', vm.tpm ? text.common.yes : text.common.no],
            ]}
          />
        </Panel>
        <Panel title={text.vm.settings}>
          <Sheet
            rows={[
              [text.vm.created, moment(vm.createdAt)],
              vm.startedAt !== null && [text.vm.started, <Ago key="started" at={vm.startedAt} />],
              vm.forkedFrom !== null && [
                text.vm.forkedFrom,
                <Link key="parent" to="/vms/$vm/$tab" params={{ vm: vm.forkedFrom, tab: 'overview' }} className="link">
                  {vm.forkedFrom}
                </Link>,
              ],
              [text.vm.autostart, vm.autostart ? text.common.yes : text.common.no],
              [text.vm.restart, vm.restart],
              [text.vm.snapshots, vm.snapshotPolicy ?? text.common.none],
              vm.pending.length > 0 && [text.vm.pending, vm.pending.join(', ')],
              [
                text.vm.id,
                <span key="id" className="mono">
                  {vm.id}
                </span>,
              ],
            ]}
          />
        </Panel>
      </SimpleGrid>
      <Table
        label={text.vm.disks}
        rows={vm.disks}
        rowKey={({ id }) => id}
        empty={null}
        columns={[
          { id: 'id', header: text.vm.disks, cell: ({ id }) => <strong>{id}</strong> },
          { id: 'kind', header: text.vm.kind, cell: ({ kind }) => kind },
          { id: 'size', header: text.common.size, cell: ({ sizeBytes }) => bytes(sizeBytes), end: true },
          { id: 'used', header: text.vm.diskUsed, cell: ({ usedBytes }) => (usedBytes === null ? '' : bytes(usedBytes)), end: true },
          {
            id: 'backing',
            header: text.vm.backing,
            cell: ({ backing }) => <span className="mono">{backing ?? text.vm.independent}</span>,
            wide: true,
          },
        ]}
      />
    </Stack>
  );
}
