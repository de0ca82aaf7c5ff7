// The frame of every page: its title, what can be done on it, and what it shows while there is nothing, too little or an error.
import { Alert, Box, Button, Group, Loader, Stack, Text, Title } from '@mantine/core';
import { type ReactNode, useEffect } from 'react';
import { messageOf } from '../api/call.ts';
import { text } from '../language/index.ts';

export function Page({
  title,
  actions,
  above,
  children,
}: {
  title: ReactNode;
  actions?: ReactNode;
  above?: ReactNode;
  children: ReactNode;
}) {
  useEffect(() => {
    if (typeof title === 'string') document.title = `${title} · Vivarium`;
  }, [title]);
  return (
    <Stack gap="md">
      <Box>
        {above}
        <Group justify="space-between" gap="sm">
          <Title order={1}>{title}</Title>
          {actions && <Group gap="xs">{actions}</Group>}
        </Group>
      </Box>
      {children}
    </Stack>
  );
}

export function Panel({
  title,
  actions,
  children,
  padding = 'md',
}: {
  title?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  padding?: string | 0;
}) {
  return (
    <Box component="section" className="panel" p={padding}>
      {(title || actions) && (
        <Group justify="space-between" mb="sm" p={padding === 0 ? 'md' : 0} pb={0} gap="xs">
          <Title order={2} fz="md">
            {title}
          </Title>
          {actions && <Group gap="xs">{actions}</Group>}
        </Group>
      )}
      {children}
    </Box>
  );
}

export function Empty({ title, help, action }: { title: string; help?: string | undefined; action?: ReactNode }) {
  return (
    <Stack align="center" gap={6} py={44} px="md" ta="center">
      <Text fw={600}>{title}</Text>
      {help && (
        <Text c="dimmed" fz="sm" maw={460}>
          {help}
        </Text>
      )}
      {action && <Box mt="sm">{action}</Box>}
    </Stack>
  );
}

export const Waiting = () => (
  <Group justify="center" py="xl" aria-busy="true">
    <Loader size="sm" aria-label={text.common.loading} />
  </Group>
);

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <Alert color="red" variant="light" title={text.common.failed} role="alert">
      <Text fz="sm">{messageOf(error)}</Text>
      {retry && (
        <Button mt="sm" size="xs" variant="default" onClick={retry}>
          {text.common.retry}
        </Button>
      )}
    </Alert>
  );
}

interface Reading<T> {
  readonly data: T | undefined;
  readonly error: unknown;
  readonly refetch: () => unknown;
}

/** What a query answered, once it has. What was shown stays when a later question fails. */
export function Loaded<T>({ query, children }: { query: Reading<T>; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return <Waiting />;
}
