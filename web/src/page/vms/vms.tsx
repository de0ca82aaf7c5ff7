// All VMs: found by their name, image, address or state, and acted on one by one or together.
import { Group, SegmentedControl, Text } from '@mantine/core';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo, useState } from 'react';
import { pathOf } from '../../api/call.ts';
import { useRead } from '../../api/query.ts';
import { useEvents } from '../../api/stream.ts';
import type { Top, Vm } from '../../api/types.ts';
import { text } from '../../language/index.ts';
import { bytes, percent } from '../../ui/format.ts';
import { Empty, Loaded, Page } from '../../ui/page.tsx';
import { Sparkline } from '../../ui/sparkline.tsx';
import { State } from '../../ui/state.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { CreateButton } from '../create/button.tsx';
import { useActivities } from './activity.ts';
import { BulkActions } from './bulk.tsx';

const filterText = (vm: Vm) =>
  [vm.name, vm.image ?? '', vm.state, ...vm.nics.flatMap(({ addresses, network }) => [...addresses, network])].join(' ');
const rowKey = (vm: Vm) => vm.id;
const nameOf = (vm: Vm) => vm.name;

export function VmsPage() {
  const vms = useRead('vm.list', {});
  const activities = useActivities();
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as { state?: string };
  const state = search.state ?? 'all';
  const [use, setUse] = useState<ReadonlyMap<string, Top['vms'][number]>>(new Map());
  // Measurements of thousands of VMs would be most of what a browser reads.
  const follow = (vms.data?.length ?? 0) <= 300;
  useEvents<Top>(
    follow ? pathOf('top.follow', { everyMs: 3000 }) : null,
    useCallback((top) => setUse(new Map(top.vms.map((vm) => [vm.id, vm]))), []),
  );

  const columns = useMemo<Column<Vm>[]>(
    () => [
      {
        id: 'name',
        header: text.common.name,
        by: nameOf,
        cell: (vm) => (
          <Link
            to="/vms/$vm/$tab"
            params={{ vm: vm.name, tab: 'overview' }}
            className="link cut"
            style={{ fontWeight: 600, display: 'block' }}
          >
            {vm.name}
          </Link>
        ),
      },
      {
        id: 'state',
        header: text.common.state,
        by: (vm) => vm.state,
        cell: (vm) => <State state={vm.state} activity={activities.get(vm.name)} />,
      },
      {
        id: 'image',
        header: text.vms.image,
        by: (vm) => vm.image,
        cell: (vm) => vm.image ?? <span className="quiet">{text.common.none}</span>,
        wide: true,
      },
      {
        id: 'address',
        header: text.vms.address,
        by: (vm) => vm.nics[0]?.addresses[0] ?? null,
        cell: (vm) => <span className="mono">{vm.nics[0]?.addresses[0] ?? vm.nics[0]?.network ?? ''}</span>,
        wide: true,
      },
      { id: 'cpus', header: text.vms.cpus, by: (vm) => vm.cpus, cell: (vm) => vm.cpus, end: true, wide: true },
      { id: 'memory', header: text.vms.memory, by: (vm) => vm.memoryBytes, cell: (vm) => bytes(vm.memoryBytes), end: true, wide: true },
      {
        id: 'cpu',
        header: text.vms.cpuUse,
        by: (vm) => use.get(vm.id)?.values.cpuPercent ?? null,
        wide: true,
        cell: (vm) => {
          const now = use.get(vm.id);
          if (vm.state !== 'running' || now?.values.cpuPercent === undefined) return null;
          return (
            <Group gap={8} wrap="nowrap">
              <Sparkline values={now.recentCpuPercent} width={56} />
              <Text fz="xs" c="dimmed">
                {percent(now.values.cpuPercent)}
              </Text>
            </Group>
          );
        },
      },
      {
        id: 'uptime',
        header: text.vms.uptime,
        by: (vm) => vm.startedAt,
        wide: true,
        cell: (vm) => (vm.state === 'running' && vm.startedAt !== null ? <Ago at={vm.startedAt} /> : null),
      },
    ],
    [activities, use],
  );
  return (
    <Page title={text.vms.title} actions={<CreateButton />}>
      <Loaded query={vms}>
        {(all) => (
          <Table
            label={text.vms.title}
            rows={state === 'all' ? all : all.filter((vm) => vm.state === state)}
            columns={columns}
            rowKey={rowKey}
            nameOf={nameOf}
            filterText={filterText}
            filterLabel={text.vms.filter}
            sortedBy={{ id: 'name' }}
            tools={
              <States
                vms={all}
                state={state}
                onPick={(picked) =>
                  void navigate({ to: '/vms', search: (picked === 'all' ? {} : { state: picked }) as never, replace: true })
                }
              />
            }
            selection={(rows, clear) => <BulkActions vms={rows} clear={clear} />}
            empty={<Empty title={text.vms.empty} help={text.vms.emptyHelp} action={<CreateButton />} />}
          />
        )}
      </Loaded>
    </Page>
  );
}

function States({ vms, state, onPick }: { vms: readonly Vm[]; state: string; onPick: (state: string) => void }) {
  const present = [...new Set(vms.map((vm) => vm.state))].sort();
  if (present.length < 2 && state === 'all') return null;
  const choices = [...new Set(['all', ...present, state])];
  return (
    <SegmentedControl
      size="xs"
      className="hide-small"
      value={state}
      onChange={onPick}
      data={choices.map((value) => ({
        value,
        label:
          value === 'all'
            ? `${text.vms.all} ${vms.length}`
            : `${text.state[value] ?? value} ${vms.filter((vm) => vm.state === value).length}`,
      }))}
    />
  );
}
