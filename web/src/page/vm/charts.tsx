// What a VM has used: from the host's history, continued live while the page is open.
import { Group, SegmentedControl, SimpleGrid, Text } from '@mantine/core';
import { useState } from 'react';
import { pathOf } from '../../api/call.ts';
import { useRead } from '../../api/query.ts';
import { useEvents } from '../../api/stream.ts';
import type { Output, Top, Vm } from '../../api/types.ts';
import { text } from '../../language/index.ts';
import { Chart, type Line } from '../../ui/chart.tsx';
import { bytes, decimal } from '../../ui/format.ts';
import { Empty, Loaded, Panel } from '../../ui/page.tsx';

const hour = 3_600_000;
const ranges = { m15: hour / 4, h1: hour, h24: 24 * hour, d7: 7 * 24 * hour } as const;
type Range = keyof typeof ranges;
type History = Output<'stats.show'>;
interface Point {
  readonly at: number;
  readonly values: Readonly<Record<string, number | undefined>>;
}

export function Charts({ vm }: { vm: Vm }) {
  const [range, setRange] = useState<Range>('m15');
  const [live, setLive] = useState<readonly Point[]>([]);
  const history = useRead('stats.show', { vm: vm.id, sinceMs: ranges[range], points: 300 });
  const follows = vm.state === 'running' && (range === 'm15' || range === 'h1');
  useEvents<Top>(follows ? pathOf('top.follow', { everyMs: 2000, vm: vm.id }) : null, ({ at, vms }) => {
    const values = vms[0]?.values;
    if (values) setLive((points) => [...points.filter((point) => point.at > at - ranges[range] && point.at !== at), { at, values }]);
  });
  return (
    <Panel
      title={text.vm.usage}
      actions={
        <SegmentedControl
          size="xs"
          aria-label={text.vm.chartRange}
          value={range}
          onChange={(value) => {
            setLive([]);
            setRange(value as Range);
          }}
          data={(Object.keys(ranges) as Range[]).map((value) => ({ value, label: text.vm.ranges[value] }))}
        />
      }
    >
      <Loaded query={history}>
        {(data) =>
          data.at.length + live.length === 0 || (Object.keys(data.mean).length === 0 && live.length === 0) ? (
            <Empty title={text.vm.noData} />
          ) : (
            <Four vm={vm} history={data} live={live} />
          )
        }
      </Loaded>
    </Panel>
  );
}

function Four({ vm, history, live }: { vm: Vm; history: History; live: readonly Point[] }) {
  const last = history.at.at(-1) ?? 0;
  const later = live.filter(({ at }) => at > last);
  const at = [...history.at, ...later.map((point) => point.at)].map((ms) => ms / 1000);
  const series = (name: string) => [
    ...(history.mean[name] ?? history.at.map(() => null)),
    ...later.map(({ values }) => values[name] ?? null),
  ];
  const constant = (value: number) => at.map(() => value);
  const limit = vm.resources.cpuLimit;
  const rate = (value: number) => `${bytes(value)}/s`;
  const charts: readonly [string, (value: number) => string, readonly Line[]][] = [
    [
      text.vm.cpuChart,
      (value) => decimal(value),
      [
        { label: text.vm.used, values: series('cpuCores') },
        ...(limit > 0 ? [{ label: text.vm.limit, values: constant(limit), dashed: true }] : []),
      ],
    ],
    [
      text.vm.memoryChart,
      bytes,
      [
        { label: text.vm.used, values: series('proportionalBytes') },
        { label: text.vm.limit, values: constant(vm.memoryBytes), dashed: true },
      ],
    ],
    [
      text.vm.diskChart,
      rate,
      [
        { label: text.vm.read, values: series('diskReadBytesPerSecond') },
        { label: text.vm.write, values: series('diskWriteBytesPerSecond') },
      ],
    ],
    [
      text.vm.networkChart,
      rate,
      [
        { label: text.vm.receive, values: series('networkReceiveBytesPerSecond') },
        { label: text.vm.send, values: series('networkSendBytesPerSecond') },
      ],
    ],
  ];
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg">
      {charts.map(([title, format, lines]) => {
        const now = lines.map(({ label, values }) => [label, values.findLast((value) => typeof value === 'number')] as const);
        const said = now
          .map(([label, value]) => (typeof value === 'number' ? `${label} ${format(value)}` : null))
          .filter(Boolean)
          .join(' · ');
        return (
          <div key={title}>
            <Group justify="space-between" mb={4} gap="xs">
              <Text fz="sm" fw={600}>
                {title}
              </Text>
              <Text fz="xs" c="dimmed">
                {said}
              </Text>
            </Group>
            <Chart at={at} lines={lines} format={format} label={`${title}: ${said}`} />
          </div>
        );
      })}
    </SimpleGrid>
  );
}
