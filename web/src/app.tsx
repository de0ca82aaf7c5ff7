// Providers and the gate: who is not signed in sees the sign-in page, everybody else the console.
import { type MantineColorSchemeManager, MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { VivError } from '../../src/contract/errors.ts';
import { useMe } from './api/may.ts';
import { queryClient } from './api/query.ts';
import { LinkPage } from './page/sign-in/link.tsx';
import { SignInPage } from './page/sign-in/sign-in.tsx';
import { router } from './router.tsx';
import { theme } from './theme.ts';
import { Failure, Waiting } from './ui/page.tsx';

const key = 'vivarium-color-scheme';

/** The scheme is kept where theme.js reads it before the first paint. */
const schemes: MantineColorSchemeManager = {
  get: (fallback) => {
    const kept = localStorage.getItem(key);
    return kept === 'light' || kept === 'dark' ? kept : fallback;
  },
  set: (value) => {
    if (value === 'auto') localStorage.removeItem(key);
    else localStorage.setItem(key, value);
    document.documentElement.style.removeProperty('background-color');
  },
  subscribe: () => {},
  unsubscribe: () => {},
  clear: () => localStorage.removeItem(key),
};

export function App({ nonce }: { nonce: string }) {
  return (
    <QueryClientProvider client={queryClient}>
      <MantineProvider theme={theme} defaultColorScheme="auto" colorSchemeManager={schemes} getStyleNonce={() => nonce}>
        <Notifications position="bottom-right" limit={4} containerWidth={400} />
        <Gate />
      </MantineProvider>
    </QueryClientProvider>
  );
}

/** The link that the page was opened with; its page takes the secret out of the address. */
const link = linkIn(location);

function linkIn({ pathname, hash }: Location) {
  const kind = /^\/(login|setup|recover)$/.exec(pathname)?.[1] as 'login' | 'setup' | 'recover' | undefined;
  return kind !== undefined && hash.length > 1 ? { kind, secret: hash.slice(1) } : null;
}

function Gate() {
  const me = useMe();
  if (link) return <LinkPage {...link} />;
  // A session that ends later is renewed in a dialog over the page: what is typed there is not lost.
  if (me.data) return <RouterProvider router={router} />;
  if (me.error instanceof VivError && me.error.code === 'unauthenticated') return <SignInPage />;
  if (me.error) return <Failure error={me.error} retry={() => void me.refetch()} />;
  return <Waiting />;
}
