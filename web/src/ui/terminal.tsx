// The serial console or a shell of a VM in xterm.js. What the guest writes is drawn as text by the terminal; nothing of it becomes HTML.
import '@xterm/xterm/css/xterm.css';
import { Stack } from '@mantine/core';
import { FitAddon } from '@xterm/addon-fit';
import { Terminal as XTerm } from '@xterm/xterm';
import { useEffect, useRef, useState } from 'react';
import { messageOf } from '../api/call.ts';
import { openStream, type Stream } from '../api/socket.ts';
import type { Vm } from '../api/types.ts';
import { type Connection, ConsoleBar } from './console-bar.tsx';

/** A connection that breaks is tried again by itself so many times, a second apart at first. */
const mostAttempts = 6;

export function Terminal({ vm, kind }: { vm: Vm; kind: 'console' | 'exec' }) {
  const box = useRef<HTMLDivElement>(null);
  const [connection, setConnection] = useState<Connection>({ is: 'connecting' });
  const [round, setRound] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round is a new connection
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const terminal = new XTerm({
      fontFamily: 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace',
      fontSize: 13.5,
      cursorBlink: true,
      scrollback: 5000,
      theme: { background: '#101317', foreground: '#d9dde3' },
      screenReaderMode: false,
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(element);
    terminal.textarea?.setAttribute('aria-label', kind === 'exec' ? 'Shell' : 'Serial console');
    fit.fit();
    terminal.focus();
    const encoder = new TextEncoder();
    let stream: Stream | undefined;
    let left = false;
    let attempts = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;

    const connect = async () => {
      setConnection({ is: 'connecting' });
      const size = { rows: terminal.rows, columns: terminal.cols };
      const input =
        kind === 'exec' ? { terminal: { ...size, type: 'xterm-256color' } } : { scrollbackBytes: attempts === 0 ? 64 * 1024 : 0 };
      try {
        const opened = await openStream(vm.id, kind, input, {
          onData: (bytes) => terminal.write(bytes),
          onControl: (message) => {
            if (message.type !== 'started') return;
            attempts = 0;
            setConnection({ is: 'connected' });
          },
          onEnd: (reason) => {
            stream = undefined;
            if (left) return;
            // A serial console goes on where it was; a shell that broke has ended.
            if (reason === null && kind === 'console' && attempts++ < mostAttempts)
              timer = setTimeout(() => void connect(), 500 * attempts);
            else setConnection({ is: 'ended', reason });
          },
        });
        if (left) opened.close();
        else stream = opened;
      } catch (error) {
        if (!left) setConnection({ is: 'ended', reason: messageOf(error) });
      }
    };
    terminal.onData((data) => stream?.send(encoder.encode(data)));
    terminal.onBinary((data) => stream?.send(Uint8Array.from(data, (letter) => letter.charCodeAt(0))));
    terminal.onResize(({ rows, cols }) => kind === 'exec' && stream?.control({ type: 'resize', rows, columns: cols }));
    const watch = new ResizeObserver(() => fit.fit());
    watch.observe(element);
    void connect();
    return () => {
      left = true;
      clearTimeout(timer);
      watch.disconnect();
      stream?.close();
      terminal.dispose();
    };
  }, [vm.id, kind, round]);

  return (
    <Stack gap="xs">
      <ConsoleBar connection={connection} again={() => setRound(round + 1)} box={box} />
      <div ref={box} className="terminal" style={{ height: 'calc(100dvh - 340px)' }} />
    </Stack>
  );
}
