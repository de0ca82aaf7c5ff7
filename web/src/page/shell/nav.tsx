// The navigation: every page, in groups.
import { Box, Stack, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { text } from '../../language/index.ts';

const paths = {
  overview: 'M3 12l9-8 9 8M5 10v10h5v-6h4v6h5V10',
  vms: 'M3 5h18v12H3zM8 21h8M12 17v4',
  images: 'M4 7c0-2 16-2 16 0v10c0 2-16 2-16 0zM4 7c0 2 16 2 16 0M4 12c0 2 16 2 16 0',
  warmPools: 'M12 3c4 5 6 7 6 11a6 6 0 1 1-12 0c0-2 1-4 2-5 1 2 2 2 2 2 0-3 1-6 2-8z',
  networks: 'M9 3h6v5H9zM3 16h6v5H3zM15 16h6v5h-6zM12 8v4M6 16v-4h12v4',
  forwards: 'M4 8h12l-3-3M20 16H8l3 3',
  securityGroups: 'M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6z',
  tasks: 'M5 6l1.500 1.500L9 5M5 12l1.500 1.500L9 11M5 18l1.500 1.500L9 17M12 6h8M12 12h8M12 18h8',
  events: 'M4 4v16h16M8 15l3-4 3 2 5-7',
  alerts: 'M6 16V11a6 6 0 1 1 12 0v5l2 2H4zM10 20a2 2 0 0 0 4 0',
  access: 'M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21c0-4 3-6 7-6s7 2 7 6M16 4a4 4 0 0 1 0 7M18 15c3 .500 4 3 4 6',
  audit: 'M6 3h9l4 4v14H6zM9 12h7M9 16h7M9 8h3',
  settings: 'M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM12 2v4M12 18v4M2 12h4M18 12h4M5 5l3 3M16 16l3 3M19 5l-3 3M8 16l-3 3',
  api: 'M8 7l-5 5 5 5M16 7l5 5-5 5',
} as const;

export const navigation = () =>
  [
    { title: null, pages: [['/', 'overview', text.nav.overview]] },
    {
      title: text.nav.groups.compute,
      pages: [
        ['/vms', 'vms', text.nav.vms],
        ['/images', 'images', text.nav.images],
        ['/warm-pools', 'warmPools', text.nav.warmPools],
      ],
    },
    {
      title: text.nav.groups.network,
      pages: [
        ['/networks', 'networks', text.nav.networks],
        ['/forwards', 'forwards', text.nav.forwards],
        ['/security-groups', 'securityGroups', text.nav.securityGroups],
      ],
    },
    {
      title: text.nav.groups.observe,
      pages: [
        ['/tasks', 'tasks', text.nav.tasks],
        ['/events', 'events', text.nav.events],
        ['/alerts', 'alerts', text.nav.alerts],
      ],
    },
    {
      title: text.nav.groups.admin,
      pages: [
        ['/access', 'access', text.nav.access],
        ['/audit', 'audit', text.nav.audit],
        ['/settings', 'settings', text.nav.settings],
        ['/api', 'api', text.nav.api],
      ],
    },
  ] as const;

export function Navigation({ onPick }: { onPick: () => void }) {
  return (
    <Stack component="nav" gap={14} aria-label={text.nav.label}>
      {navigation().map((group) => (
        <Box key={group.title ?? 'top'}>
          {group.title && (
            <Text fz={11.5} fw={600} c="dimmed" px={12} mb={4} tt="uppercase" lts={0.4}>
              {group.title}
            </Text>
          )}
          {group.pages.map(([to, icon, label]) => (
            <Link
              key={to}
              to={to}
              className="nav-link"
              activeOptions={{ exact: to === '/' }}
              activeProps={{ 'aria-current': 'page' }}
              onClick={onPick}
            >
              <Icon path={paths[icon]} />
              {label}
            </Link>
          ))}
        </Box>
      ))}
    </Stack>
  );
}

const Icon = ({ path }: { path: string }) => (
  <svg
    width="17"
    height="17"
    viewBox="0 0 24 24"
    fill="none"
    stroke="currentColor"
    strokeWidth="1.8"
    strokeLinecap="round"
    strokeLinejoin="round"
    aria-hidden="true"
  >
    <path d={path} />
  </svg>
);
