// The screen of a VM: noVNC over the WebSocket of vm.screen.
import { Button, Menu, Modal, Stack, Textarea } from '@mantine/core';
import RFB from '@novnc/novnc';
import { useEffect, useRef, useState } from 'react';
import { messageOf } from '../api/call.ts';
import { openStream, type Stream } from '../api/socket.ts';
import type { Vm } from '../api/types.ts';
import { text } from '../language/index.ts';
import { type Connection, ConsoleBar } from './console-bar.tsx';
import { chords, press, typeText } from './keys.ts';

/** What noVNC takes for a WebSocket: our stream, whose frames carry a channel. */
class Channel extends EventTarget {
  binaryType = 'arraybuffer';
  protocol = '';
  readyState = 'connecting';
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: ArrayBufferLike }) => void) | null = null;
  onclose: ((event: object) => void) | null = null;
  onerror: ((event: object) => void) | null = null;
  stream: Stream | undefined;

  open(): void {
    this.readyState = 'open';
    this.onopen?.();
  }

  receive(bytes: Uint8Array): void {
    this.onmessage?.({ data: bytes.slice().buffer });
  }

  end(): void {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    this.onclose?.({ code: 1000, reason: '', wasClean: true });
  }

  send(data: ArrayBuffer | ArrayBufferView): void {
    this.stream?.send(ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data));
  }

  close(): void {
    this.stream?.close();
    this.end();
  }
}

export function Screen({ vm }: { vm: Vm }) {
  const box = useRef<HTMLDivElement>(null);
  const rfb = useRef<RFB>(null);
  const [connection, setConnection] = useState<Connection>({ is: 'connecting' });
  const [round, setRound] = useState(0);
  const [pasting, setPasting] = useState<string>();

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round is a new connection
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const channel = new Channel();
    let left = false;
    let reason: string | null = null;
    const session = new RFB(element, channel, { shared: true });
    session.scaleViewport = true;
    session.background = '#101317';
    session.addEventListener('connect', () => setConnection({ is: 'connected' }));
    session.addEventListener('disconnect', () => !left && setConnection({ is: 'ended', reason }));
    rfb.current = session;
    setConnection({ is: 'connecting' });
    void openStream(
      vm.id,
      'screen',
      {},
      {
        onData: (bytes) => channel.receive(bytes),
        onControl: (message) => message.type === 'started' && channel.open(),
        onEnd: (why) => {
          reason = why;
          channel.end();
        },
      },
    ).then(
      (stream) => {
        channel.stream = stream;
        if (left) stream.close();
      },
      (error: unknown) => {
        reason = messageOf(error);
        channel.end();
        if (!left) setConnection({ is: 'ended', reason });
      },
    );
    return () => {
      left = true;
      rfb.current = null;
      session.disconnect();
    };
  }, [vm.id, round]);

  const screenshot = () => {
    const canvas = box.current?.querySelector('canvas');
    canvas?.toBlob((blob) => {
      if (!blob) return;
      const link = document.createElement('a');
      link.href = URL.createObjectURL(blob);
      link.download = `${vm.name}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  };
  const send = () => {
    if (rfb.current && pasting !== undefined) typeText(rfb.current, pasting);
    setPasting(undefined);
  };
  return (
    <Stack gap="xs">
      <ConsoleBar connection={connection} again={() => setRound(round + 1)} box={box}>
        <Menu position="bottom-end">
          <Menu.Target>
            <Button size="xs" variant="default">
              {text.console.more} ▾
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {Object.entries(chords).map(([name, keys]) => (
              <Menu.Item key={name} onClick={() => rfb.current && press(rfb.current, keys)}>
                {name}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
        <Button size="xs" variant="default" onClick={() => setPasting('')}>
          {text.console.paste}
        </Button>
        <Button size="xs" variant="default" onClick={screenshot}>
          {text.console.screenshot}
        </Button>
      </ConsoleBar>
      <div ref={box} className="screen" style={{ height: 'calc(100dvh - 340px)' }} />
      <Modal
        opened={pasting !== undefined}
        onClose={() => setPasting(undefined)}
        title={text.console.paste}
        closeButtonProps={{ 'aria-label': text.common.close }}
      >
        <Stack>
          <Textarea
            label={text.console.paste}
            description={text.console.pasteHelp}
            autosize
            minRows={4}
            maxRows={12}
            data-autofocus
            value={pasting ?? ''}
            onChange={({ currentTarget }) => setPasting(currentTarget.value)}
          />
          <Button onClick={send}>{text.console.paste}</Button>
        </Stack>
      </Modal>
    </Stack>
  );
}
