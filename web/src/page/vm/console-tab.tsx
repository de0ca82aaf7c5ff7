// The consoles of a VM: its screen, its serial console and a shell.
import { SegmentedControl, Stack } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import type { Vm } from '../../api/types.ts';
import { text } from '../../language/index.ts';
import { Empty, Waiting } from '../../ui/page.tsx';
import { reasonFor } from './actions.tsx';

const Terminal = lazy(() => import('../../ui/terminal.tsx').then(({ Terminal }) => ({ default: Terminal })));
const Screen = lazy(() => import('../../ui/screen.tsx').then(({ Screen }) => ({ default: Screen })));

type Kind = 'screen' | 'console' | 'exec';

export function ConsoleTab({ vm }: { vm: Vm }) {
  const [kind, setKind] = useState<Kind>('console');
  const reason = reasonFor(vm, kind === 'screen' ? 'view' : kind);
  return (
    <Stack gap="sm">
      <SegmentedControl
        size="xs"
        value={kind}
        onChange={(value) => setKind(value as Kind)}
        style={{ alignSelf: 'flex-start' }}
        data={[
          { value: 'console', label: text.console.serial },
          { value: 'exec', label: text.console.shell },
          { value: 'screen', label: text.console.screen },
        ]}
      />
      {reason ? (
        <div className="panel">
          <Empty title={text.console.notRunning} help={reason} />
        </div>
      ) : (
        <Suspense fallback={<Waiting />}>
          {kind === 'screen' ? <Screen key={`${vm.id} screen`} vm={vm} /> : <Terminal key={`${vm.id} ${kind}`} vm={vm} kind={kind} />}
        </Suspense>
      )}
    </Stack>
  );
}
