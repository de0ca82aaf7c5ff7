// The line above a console: how it is connected, and what can be sent to it.
import { Button, Group, Text } from '@mantine/core';
import type { ReactNode, RefObject } from 'react';
import { text } from '../language/index.ts';

export type Connection = { readonly is: 'connecting' | 'connected' } | { readonly is: 'ended'; readonly reason: string | null };

export function ConsoleBar({
  connection,
  again,
  box,
  children,
}: {
  connection: Connection;
  again: () => void;
  box: RefObject<HTMLElement | null>;
  children?: ReactNode;
}) {
  const said = saying(connection);
  return (
    <Group justify="space-between" gap="xs">
      <Text
        fz="sm"
        role="status"
        className="state"
        data-kind={connection.is === 'connected' ? 'good' : connection.is === 'ended' ? 'bad' : 'busy'}
      >
        {said}
      </Text>
      <Group gap="xs">
        {connection.is === 'ended' && (
          <Button size="xs" onClick={again}>
            {text.console.reconnect}
          </Button>
        )}
        {children}
        <Button size="xs" variant="default" onClick={() => void box.current?.requestFullscreen?.()}>
          {text.console.fullscreen}
        </Button>
      </Group>
    </Group>
  );
}

function saying(connection: Connection): string {
  if (connection.is === 'ended') return connection.reason === null ? text.console.broken : text.console.ended(connection.reason);
  return connection.is === 'connecting' ? text.console.connecting : text.console.connected;
}
