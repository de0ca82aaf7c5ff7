// The frame around every page: navigation, search, running tasks, the user.
import { ActionIcon, Alert, AppShell, Avatar, Badge, Burger, Button, Group, Kbd, Menu, Text, useMantineColorScheme } from '@mantine/core';
import { useDisclosure, useHotkeys } from '@mantine/hooks';
import { Link, Outlet, useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useState } from 'react';
import { act } from '../../api/act.ts';
import { onConnection, startLive, taskLimit } from '../../api/live.ts';
import { useMe } from '../../api/may.ts';
import { useRead } from '../../api/query.ts';
import { text } from '../../language/index.ts';
import { Logo } from '../sign-in/frame.tsx';
import { ExpiredDialog } from './expired.tsx';
import { Navigation } from './nav.tsx';

const Palette = lazy(() => import('./palette.tsx').then(({ Palette }) => ({ default: Palette })));

export function Shell() {
  const [navigation, nav] = useDisclosure();
  const [palette, search] = useDisclosure();
  const [connected, setConnected] = useState(true);
  useEffect(startLive, []);
  useEffect(() => onConnection(setConnected), []);
  useHotkeys([['mod+K', search.toggle]], []);
  return (
    <AppShell header={{ height: 54 }} navbar={{ width: 226, breakpoint: 'sm', collapsed: { mobile: !navigation } }} padding="lg">
      <a href="#main" className="skip">
        {text.nav.skip}
      </a>
      <AppShell.Header px="md" style={{ background: 'var(--panel)' }}>
        <Group h="100%" gap="sm" wrap="nowrap">
          <Burger opened={navigation} onClick={nav.toggle} hiddenFrom="sm" size="sm" aria-label={text.nav.open} />
          <Link to="/" aria-label="Vivarium" className="nav-link" style={{ padding: 0, fontWeight: 700, fontSize: 17, background: 'none' }}>
            <Logo size={26} />
            <Text span inherit visibleFrom="xs">
              Vivarium
            </Text>
          </Link>
          <div className="grow" />
          <Button variant="default" size="sm" radius="md" onClick={search.open} title={text.palette.open} fw={400}>
            <Group gap={10} wrap="nowrap">
              <Text span fz="sm" c="dimmed">
                {text.common.search}
              </Text>
              <Kbd size="xs" visibleFrom="xs">
                Ctrl K
              </Kbd>
            </Group>
          </Button>
          <RunningTasks />
          <UserMenu />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" style={{ background: 'var(--panel)', overflowY: 'auto' }}>
        <Navigation onPick={nav.close} />
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        {!connected && (
          <Alert color="orange" variant="light" mb="md" role="status">
            {text.session.lost}
          </Alert>
        )}
        <Outlet />
      </AppShell.Main>
      <ExpiredDialog />
      <Suspense fallback={null}>{palette && <Palette onClose={search.close} />}</Suspense>
    </AppShell>
  );
}

function RunningTasks() {
  const { data } = useRead('task.list', taskLimit);
  const running = data?.filter(({ state }) => state === 'running').length ?? 0;
  return (
    <Button
      component={Link}
      to="/tasks"
      variant="subtle"
      color="gray"
      size="compact-sm"
      fw={500}
      visibleFrom="xs"
      title={running > 0 ? text.tasks.running(running) : text.tasks.none}
    >
      {text.nav.tasks}
      {running > 0 && (
        <Badge ml={8} size="sm" circle variant="filled">
          {running}
        </Badge>
      )}
    </Button>
  );
}

function UserMenu() {
  const me = useMe().data;
  const navigate = useNavigate();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const signOut = async () => {
    if (await act('session.remove', { session: 'current' })) location.replace('/');
  };
  return (
    <Menu position="bottom-end" width={230} withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" radius="xl" aria-label={`${text.account.title}: ${me?.name ?? ''}`}>
          <Avatar size={30} radius="xl" color="teal" variant="filled" alt="" />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{`${text.account.signedInAs} ${me?.name ?? ''}`}</Menu.Label>
        <Menu.Item onClick={() => void navigate({ to: '/account' })}>{text.account.title}</Menu.Item>
        <Menu.Divider />
        <Menu.Label>{text.scheme.label}</Menu.Label>
        {(['light', 'dark', 'auto'] as const).map((scheme) => (
          <Menu.Item
            key={scheme}
            role="menuitemradio"
            aria-checked={colorScheme === scheme}
            onClick={() => setColorScheme(scheme)}
            rightSection={colorScheme === scheme ? '✓' : null}
          >
            {text.scheme[scheme]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => void signOut()}>{text.session.signOut}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
