// One VM: its name, its state, what can be done with it, and a tab for each of its parts.
import { Alert, Group, Tabs, Text } from '@mantine/core';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import { VivError } from '../../../../src/contract/errors.ts';
import { useRead } from '../../api/query.ts';
import type { Vm } from '../../api/types.ts';
import { text } from '../../language/index.ts';
import { Empty, Failure, Page, Waiting } from '../../ui/page.tsx';
import { State } from '../../ui/state.tsx';
import { useActivities } from '../vms/activity.ts';
import { VmActions } from './actions.tsx';
import { OverviewTab } from './overview-tab.tsx';

const ConsoleTab = lazy(() => import('./console-tab.tsx').then(({ ConsoleTab }) => ({ default: ConsoleTab })));
const NetworkTab = lazy(() => import('./network-tab.tsx').then(({ NetworkTab }) => ({ default: NetworkTab })));
const ResourcesTab = lazy(() => import('./resources-tab.tsx').then(({ ResourcesTab }) => ({ default: ResourcesTab })));
const SnapshotsTab = lazy(() => import('./snapshots-tab.tsx').then(({ SnapshotsTab }) => ({ default: SnapshotsTab })));
const EventsTab = lazy(() => import('./events-tab.tsx').then(({ EventsTab }) => ({ default: EventsTab })));
const LogsTab = lazy(() => import('./logs-tab.tsx').then(({ LogsTab }) => ({ default: LogsTab })));

const tabs = ['overview', 'console', 'network', 'resources', 'snapshots', 'events', 'logs'] as const;

export function VmPage() {
  const { vm: ref = '', tab: given = 'overview' } = useParams({ strict: false });
  const tab = tabs.find((one) => one === given) ?? 'overview';
  const query = useRead('vm.show', { vm: ref });
  const activities = useActivities();
  const navigate = useNavigate();
  const gone = query.error instanceof VivError && query.error.code === 'not_found';
  if (gone)
    return (
      <Empty
        title={text.vm.notFound}
        action={
          <Link to="/vms" className="link">
            {text.vms.title}
          </Link>
        }
      />
    );
  if (query.data === undefined) return query.error ? <Failure error={query.error} retry={() => void query.refetch()} /> : <Waiting />;
  const vm = query.data;
  return (
    <Page
      title={vm.name}
      above={
        <Text fz="sm" mb={2}>
          <Link to="/vms" className="link">
            {text.vms.title}
          </Link>
        </Text>
      }
      actions={<VmActions vm={vm} />}
    >
      <Group gap="lg">
        <State state={vm.state} activity={activities.get(vm.name)} />
        <Text fz="sm" c="dimmed">
          {vm.image ?? text.common.none} · {vm.cpus} {text.vms.cpus} · {vm.arch}
        </Text>
      </Group>
      {vm.stateReason && (
        <Alert color={vm.state === 'broken' || vm.state === 'not-responding' ? 'red' : 'orange'} variant="light" title={text.vm.reason}>
          {vm.stateReason.message}
        </Alert>
      )}
      <Tabs
        value={tab}
        onChange={(value) => void navigate({ to: '/vms/$vm/$tab', params: { vm: vm.name, tab: value ?? 'overview' } })}
        keepMounted={false}
      >
        <Tabs.List mb="md" style={{ flexWrap: 'nowrap', overflowX: 'auto', overflowY: 'hidden' }}>
          {tabs.map((one) => (
            <Tabs.Tab key={one} value={one}>
              {text.vm[one]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value={tab}>
          <Suspense fallback={<Waiting />}>
            <Tab tab={tab} vm={vm} />
          </Suspense>
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function Tab({ tab, vm }: { tab: (typeof tabs)[number]; vm: Vm }) {
  switch (tab) {
    case 'overview':
      return <OverviewTab vm={vm} />;
    case 'console':
      return <ConsoleTab vm={vm} />;
    case 'network':
      return <NetworkTab vm={vm} />;
    case 'resources':
      return <ResourcesTab key={vm.id} vm={vm} />;
    case 'snapshots':
      return <SnapshotsTab vm={vm} />;
    case 'events':
      return <EventsTab vm={vm} />;
    case 'logs':
      return <LogsTab vm={vm} />;
  }
}
