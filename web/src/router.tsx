// Every page and its path. Pages are loaded when they are opened.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';
import { Shell } from './page/shell/shell.tsx';
import { NotFound, PageError } from './page/shell/wrong.tsx';
import { Waiting } from './ui/page.tsx';

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });
const at = <P extends string>(path: P, component: ReturnType<typeof lazyRouteComponent>) =>
  createRoute({ getParentRoute: () => root, path, component });

const vm = createRoute({
  getParentRoute: () => root,
  path: '/vms/$vm/$tab',
  component: lazyRouteComponent(() => import('./page/vm/vm.tsx').then(({ VmPage }) => ({ default: VmPage }))),
});

const routes = [
  at(
    '/',
    lazyRouteComponent(() => import('./page/overview/overview.tsx').then(({ OverviewPage }) => ({ default: OverviewPage }))),
  ),
  at(
    '/vms',
    lazyRouteComponent(() => import('./page/vms/vms.tsx').then(({ VmsPage }) => ({ default: VmsPage }))),
  ),
  at(
    '/create',
    lazyRouteComponent(() => import('./page/create/create.tsx').then(({ CreatePage }) => ({ default: CreatePage }))),
  ),
  vm,
  at(
    '/images',
    lazyRouteComponent(() => import('./page/images/images.tsx').then(({ ImagesPage }) => ({ default: ImagesPage }))),
  ),
  at(
    '/warm-pools',
    lazyRouteComponent(() => import('./page/pools/pools.tsx').then(({ PoolsPage }) => ({ default: PoolsPage }))),
  ),
  at(
    '/networks',
    lazyRouteComponent(() => import('./page/networks/networks.tsx').then(({ NetworksPage }) => ({ default: NetworksPage }))),
  ),
  at(
    '/forwards',
    lazyRouteComponent(() => import('./page/networks/forwards.tsx').then(({ ForwardsPage }) => ({ default: ForwardsPage }))),
  ),
  at(
    '/security-groups',
    lazyRouteComponent(() => import('./page/networks/groups.tsx').then(({ GroupsPage }) => ({ default: GroupsPage }))),
  ),
  at(
    '/tasks',
    lazyRouteComponent(() => import('./page/tasks/tasks.tsx').then(({ TasksPage }) => ({ default: TasksPage }))),
  ),
  at(
    '/events',
    lazyRouteComponent(() => import('./page/events/events.tsx').then(({ EventsPage }) => ({ default: EventsPage }))),
  ),
  at(
    '/alerts',
    lazyRouteComponent(() => import('./page/alerts/alerts.tsx').then(({ AlertsPage }) => ({ default: AlertsPage }))),
  ),
  at(
    '/access',
    lazyRouteComponent(() => import('./page/access/access.tsx').then(({ AccessPage }) => ({ default: AccessPage }))),
  ),
  at(
    '/account',
    lazyRouteComponent(() => import('./page/account/account.tsx').then(({ AccountPage }) => ({ default: AccountPage }))),
  ),
  at(
    '/audit',
    lazyRouteComponent(() => import('./page/audit/audit.tsx').then(({ AuditPage }) => ({ default: AuditPage }))),
  ),
  at(
    '/settings',
    lazyRouteComponent(() => import('./page/settings/settings.tsx').then(({ SettingsPage }) => ({ default: SettingsPage }))),
  ),
  at(
    '/api',
    lazyRouteComponent(() => import('./page/explorer/explorer.tsx').then(({ ExplorerPage }) => ({ default: ExplorerPage }))),
  ),
];

export const router = createRouter({
  routeTree: root.addChildren(routes),
  defaultPreload: 'intent',
  defaultPendingComponent: Waiting,
  defaultErrorComponent: PageError,
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
