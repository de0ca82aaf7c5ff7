// What the VM wrote to its serial console, and what its QEMU said. Whatever a guest writes is shown as text.
import { Button, Group, SegmentedControl, Stack, Text } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { pathOf } from '../../api/call.ts';
import type { Vm } from '../../api/types.ts';
import { text } from '../../language/index.ts';
import { Empty } from '../../ui/page.tsx';

const keptCharacters = 400_000;
/** The escape sequences of terminals, and control characters. */
const sequences =
  /\u001b(\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(\u0007|\u001b\\)|[()][A-Z0-9]|[=>78cDEHM])|[\u0000-\u0008\u000b-\u001a\u001c-\u001f]/g;

export function LogsTab({ vm }: { vm: Vm }) {
  const [source, setSource] = useState<'serial' | 'qemu'>('serial');
  const content = useFollowedLog(vm.id, source);
  const box = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: with every new text
  useEffect(() => {
    if (atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [content]);
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <SegmentedControl
          size="xs"
          value={source}
          onChange={(value) => setSource(value as typeof source)}
          data={[
            { value: 'serial', label: text.logs.serial },
            { value: 'qemu', label: text.logs.qemu },
          ]}
        />
        <Group gap="sm">
          <Text fz="xs" c="dimmed" className="hide-small">
            {text.logs.follow}
          </Text>
          <Button
            component="a"
            size="xs"
            variant="default"
            href={pathOf('vm.logs', { vm: vm.id, source })}
            download={`${vm.name}-${source}.log`}
          >
            {text.logs.download}
          </Button>
        </Group>
      </Group>
      {content === '' ? (
        <div className="panel">
          <Empty title={text.logs.empty} />
        </div>
      ) : (
        <pre
          ref={box}
          className="log"
          style={{ height: 'calc(100dvh - 330px)', minHeight: 240 }}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by the keyboard
          tabIndex={0}
          role="log"
          aria-label={text.vm.logs}
          onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
            atEnd.current = scrollHeight - scrollTop - clientHeight < 40;
          }}
        >
          {content}
        </pre>
      )}
    </Stack>
  );
}

function useFollowedLog(vm: string, source: 'serial' | 'qemu'): string {
  const [content, setContent] = useState('');
  useEffect(() => {
    const end = new AbortController();
    setContent('');
    void (async () => {
      const answer = await fetch(pathOf('vm.logs', { vm, source, follow: true, tailBytes: 128 * 1024 }), { signal: end.signal });
      if (!answer.ok || !answer.body) return;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        setContent((before) => (before + value.replaceAll('\r', '').replace(sequences, '')).slice(-keptCharacters));
      }
    })().catch(() => {}); // the tab was left, or the connection broke: what was read stays
    return () => end.abort();
  }, [vm, source]);
  return content;
}
