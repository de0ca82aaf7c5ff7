// The host at a glance: what it has, what it gives, what needs somebody.
import { Anchor, Box, Group, SimpleGrid, Stack, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { pathOf } from '../../api/call.ts';
import { eventLimit, taskLimit } from '../../api/live.ts';
import { useRead } from '../../api/query.ts';
import { useEvents } from '../../api/stream.ts';
import type { Output, Top, Vm } from '../../api/types.ts';
import { text } from '../../language/index.ts';
import { Bar } from '../../ui/bar.tsx';
import { bytes, decimal, percent } from '../../ui/format.ts';
import { Empty, Loaded, Page, Panel } from '../../ui/page.tsx';
import { Sparkline } from '../../ui/sparkline.tsx';
import { State } from '../../ui/state.tsx';
import { Ago } from '../../ui/time.tsx';
import { CreateButton } from '../create/button.tsx';
import { TaskLine } from '../tasks/line.tsx';

export function OverviewPage() {
  const host = useRead('host.show', {});
  const vms = useRead('vm.list', {});
  const status = useRead('host.status', {});
  const [top, setTop] = useState<Top>();
  useEvents<Top>(pathOf('top.follow', { everyMs: 2000 }), setTop);
  return (
    <Page title={text.overview.title} actions={<CreateButton />}>
      <Loaded query={host}>{(data) => <Capacity host={data} top={top} />}</Loaded>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
        <Panel
          title={text.overview.vmsByState}
          actions={
            <Anchor component={Link} to="/vms" fz="sm" className="link">
              {text.vms.title}
            </Anchor>
          }
        >
          <Loaded query={vms}>
            {(list) => (list.length === 0 ? <Empty title={text.overview.noVms} help={text.vms.emptyHelp} /> : <ByState vms={list} />)}
          </Loaded>
        </Panel>
        <Panel title={text.overview.attention}>
          <Loaded query={vms}>{(list) => <Attention vms={list} host={host.data} readOnly={status.data?.readOnly ?? null} />}</Loaded>
        </Panel>
        <Running />
        <Recent />
      </SimpleGrid>
    </Page>
  );
}

function Capacity({ host, top }: { host: Output<'host.show'>; top: Top | undefined }) {
  const used = top?.host.values;
  const cpu = used?.cpuPercent ?? 0;
  const memory = host.memory.totalBytes - (used?.memoryAvailableBytes ?? host.memory.availableBytes);
  const { capacity, storage } = host;
  const pressure = [used?.cpuPressurePercent, used?.memoryPressurePercent, used?.ioPressurePercent];
  return (
    <SimpleGrid cols={{ base: 1, sm: 2, lg: 4 }} spacing="md">
      <Box className="panel" p="md">
        <Bar
          label={text.overview.cpu}
          value={cpu}
          total={100}
          detail={`${percent(cpu)} ${text.overview.usedNow}`}
          note={text.overview.vcpus(capacity.vcpus, host.cpus.count)}
        />
      </Box>
      <Box className="panel" p="md">
        <Bar
          label={text.overview.memory}
          value={memory}
          total={host.memory.totalBytes}
          detail={text.common.of(bytes(memory), bytes(host.memory.totalBytes))}
          note={text.overview.committed(bytes(capacity.givenBytes))}
        />
      </Box>
      <Box className="panel" p="md">
        <Bar
          label={text.overview.storage}
          value={storage.totalBytes - storage.freeBytes}
          total={storage.totalBytes}
          detail={text.common.of(bytes(storage.totalBytes - storage.freeBytes), bytes(storage.totalBytes))}
          note={text.overview.free(bytes(storage.freeBytes))}
        />
      </Box>
      <Box className="panel" p="md">
        <Stack gap={5}>
          <Group justify="space-between" wrap="nowrap">
            <Text fz="sm" fw={600}>
              {text.overview.consolidation}
            </Text>
            {top && <Sparkline values={top.host.recentCpuPercent} />}
          </Group>
          <Text fz="sm">{text.overview.perCore(decimal(capacity.vcpus / Math.max(1, host.cpus.count)))}</Text>
          {pressure.some((value) => value !== undefined) ? (
            <Text fz="xs" c="dimmed" title={text.overview.pressureHelp}>
              {text.overview.pressure}: CPU {percent(pressure[0] ?? 0)} · {text.overview.memory} {percent(pressure[1] ?? 0)} · I/O{' '}
              {percent(pressure[2] ?? 0)}
            </Text>
          ) : (
            <Text fz="xs" c="dimmed">
              {text.overview.accelerator}: {host.accelerator.toUpperCase()}
            </Text>
          )}
        </Stack>
      </Box>
    </SimpleGrid>
  );
}

function ByState({ vms }: { vms: readonly Vm[] }) {
  const states = ['running', 'paused', 'suspended', 'stopped', 'broken', 'not-responding'] as const;
  return (
    <Group gap="xl">
      {states.flatMap((state) => {
        const count = vms.filter((vm) => vm.state === state).length;
        return count === 0 && state !== 'running' && state !== 'stopped'
          ? []
          : [
              <Stack key={state} gap={0}>
                <Text fz={26} fw={650} lh={1.2}>
                  {count}
                </Text>
                <State state={state} />
              </Stack>,
            ];
      })}
    </Group>
  );
}

function Attention({ vms, host, readOnly }: { vms: readonly Vm[]; host: Output<'host.show'> | undefined; readOnly: string | null }) {
  const ill = vms.filter(
    ({ state, stateReason }) => state === 'broken' || state === 'not-responding' || (stateReason !== null && state === 'paused'),
  );
  const problems = [...(readOnly === null ? [] : [`${text.overview.readOnly}: ${readOnly}`]), ...(host?.problems ?? [])];
  if (ill.length + problems.length === 0)
    return (
      <Text fz="sm" c="dimmed">
        {text.overview.fine}
      </Text>
    );
  return (
    <Stack gap={8}>
      {ill.map((vm) => (
        <Text key={vm.id} fz="sm">
          <Link to="/vms/$vm/$tab" params={{ vm: vm.name, tab: 'overview' }} className="link">
            {vm.name}
          </Link>{' '}
          <State state={vm.state} /> {vm.stateReason?.message}
        </Text>
      ))}
      {problems.map((problem) => (
        <Text key={problem} fz="sm">
          <span className="state problem" data-kind="busy">
            {problem}
          </span>
        </Text>
      ))}
    </Stack>
  );
}

function Running() {
  const tasks = useRead('task.list', taskLimit);
  return (
    <Panel title={text.overview.running}>
      <Loaded query={tasks}>
        {(list) => {
          const running = list.filter(({ state }) => state === 'running');
          if (running.length === 0)
            return (
              <Text fz="sm" c="dimmed">
                {text.overview.noTasks}
              </Text>
            );
          return (
            <Stack gap="sm">
              {running.slice(0, 8).map((task) => (
                <TaskLine key={task.id} task={task} />
              ))}
            </Stack>
          );
        }}
      </Loaded>
    </Panel>
  );
}

function Recent() {
  const events = useRead('event.list', eventLimit);
  return (
    <Panel
      title={text.overview.recent}
      actions={
        <Anchor component={Link} to="/events" fz="sm" className="link">
          {text.events.title}
        </Anchor>
      }
    >
      <Loaded query={events}>
        {(list) =>
          list.length === 0 ? (
            <Text fz="sm" c="dimmed">
              {text.events.empty}
            </Text>
          ) : (
            <Stack gap={7}>
              {list
                .slice(-8)
                .reverse()
                .map((event) => (
                  <Group key={event.sequence} gap="sm" wrap="nowrap" justify="space-between">
                    <Text fz="sm" className="cut grow">
                      {event.message}
                    </Text>
                    <Text fz="xs" c="dimmed" style={{ flex: 'none' }}>
                      <Ago at={event.occurredAt} />
                    </Text>
                  </Group>
                ))}
            </Stack>
          )
        }
      </Loaded>
    </Panel>
  );
}
