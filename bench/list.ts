// (a) `viv ls` as a whole process, beside a Node that does nothing and beside `virsh list`.

import { hasLibvirt, virsh } from './libvirt.ts';
import { type Figure, inTurns, median, roundsOr, wholeProcess } from './measure.ts';
import { viv, withStateDirectory } from './state-directory.ts';

export const list = () =>
  withStateDirectory<Figure[]>(async ({ env }) => {
    const acts: Record<string, () => Promise<unknown>> = {
      viv: () => wholeProcess([viv, 'ls'], env),
      node: () => wholeProcess([process.execPath, '-e', '0'], env),
      version: () => wholeProcess([viv, '--version'], env),
    };
    if (hasLibvirt()) acts['virsh'] = () => wholeProcess([...virsh, 'list', '--all'], env);
    const times = await inTurns(roundsOr(20), acts);
    const of = (name: string) => median(times[name] ?? []);
    return [
      { name: 'viv ls, whole process', value: of('viv'), unit: 'ms', target: 150 },
      { name: 'viv --version', value: of('version'), unit: 'ms', target: null },
      { name: 'node -e 0', value: of('node'), unit: 'ms', target: null },
      { name: 'viv ls / node -e 0', value: of('viv') / of('node'), unit: 'x', target: null },
      ...('virsh' in times
        ? ([
            { name: 'virsh list --all', value: of('virsh'), unit: 'ms', target: null },
            { name: 'viv ls / virsh list', value: of('viv') / of('virsh'), unit: 'x', target: null },
          ] as const)
        : []),
    ];
  });
