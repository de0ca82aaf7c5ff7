// What can be done with a VM. Each control that cannot be used says why: the host's own answer, from `allowed`.
import { Button, Menu } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';
import { act } from '../../api/act.ts';
import type { Vm } from '../../api/types.ts';
import { text } from '../../language/index.ts';
import { ReasonButton, ReasonItem } from '../../ui/reason.tsx';

const OperationDialog = lazy(() => import('../../form/dialog.tsx').then(({ OperationDialog }) => ({ default: OperationDialog })));
const ConfirmDialog = lazy(() => import('../../form/dialog.tsx').then(({ ConfirmDialog }) => ({ default: ConfirmDialog })));

type Asked = 'stop' | 'stopForce' | 'restart' | 'reset' | 'suspend' | 'remove' | 'removeForce' | 'fork' | 'snapshot' | 'rename';

/** Undefined: it may be done. */
export const reasonFor = (vm: Vm, verb: string): string | undefined => {
  const allowed = vm.allowed?.[verb];
  return typeof allowed === 'string' ? allowed : undefined;
};

export function VmActions({ vm }: { vm: Vm }) {
  const [asked, setAsked] = useState<Asked>();
  const navigate = useNavigate();
  const done = (verb: keyof typeof text.verb) => text.common.done(`${text.verb[verb]} ${vm.name}`);
  const simple = (verb: 'start' | 'pause' | 'resume') => () => void act(`vm.${verb}`, { vm: vm.id }, done(verb));
  const runs = vm.state === 'running' || vm.state === 'not-responding';
  const confirm: Partial<Record<Asked, () => Promise<unknown>>> = {
    stop: () => act('vm.stop', { vm: vm.id }, done('stop')),
    stopForce: () => act('vm.stop', { vm: vm.id, force: true }, done('stop')),
    restart: () => act('vm.restart', { vm: vm.id }, done('restart')),
    reset: () => act('vm.reset', { vm: vm.id }, done('reset')),
    suspend: () => act('vm.suspend', { vm: vm.id }, done('suspend')),
    remove: () => act('vm.remove', { vm: vm.id }, done('remove')).then((gone) => gone && navigate({ to: '/vms' })),
    removeForce: () => act('vm.remove', { vm: vm.id, force: true }, done('remove')).then((gone) => gone && navigate({ to: '/vms' })),
  };
  const yes = asked && confirm[asked];
  const item = (verb: string, name: Asked, color?: string) => (
    <ReasonItem reason={reasonFor(vm, verb)} onClick={() => setAsked(name)} {...(color ? { color } : {})}>
      {text.verb[name]}
    </ReasonItem>
  );
  return (
    <>
      {vm.state === 'paused' ? (
        <ReasonButton variant="filled" reason={reasonFor(vm, 'resume')} onClick={simple('resume')}>
          {text.verb.resume}
        </ReasonButton>
      ) : (
        <ReasonButton
          variant={runs ? 'default' : 'filled'}
          reason={reasonFor(vm, 'start') ?? (runs ? text.state[vm.state] : undefined)}
          onClick={simple('start')}
        >
          {text.verb.start}
        </ReasonButton>
      )}
      <ReasonButton
        reason={reasonFor(vm, 'stop') ?? (vm.state === 'stopped' ? text.state['stopped'] : undefined)}
        onClick={() => setAsked('stop')}
      >
        {text.verb.stop}
      </ReasonButton>
      <ReasonButton reason={reasonFor(vm, 'snapshot')} onClick={() => setAsked('snapshot')}>
        {text.verb.snapshot}
      </ReasonButton>
      <ReasonButton reason={reasonFor(vm, 'fork')} onClick={() => setAsked('fork')}>
        {text.verb.fork}
      </ReasonButton>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <Button variant="default" size="sm">
            {text.common.more} ▾
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {item('restart', 'restart')}
          <ReasonItem reason={reasonFor(vm, 'pause')} onClick={simple('pause')}>
            {text.verb.pause}
          </ReasonItem>
          {item('suspend', 'suspend')}
          {item('reset', 'reset')}
          {item('stop', 'stopForce')}
          <Menu.Divider />
          {item('rename', 'rename')}
          {reasonFor(vm, 'remove') && !reasonFor(vm, 'stop') && runs ? item('stop', 'removeForce', 'red') : item('remove', 'remove', 'red')}
        </Menu.Dropdown>
      </Menu>
      <Suspense fallback={null}>
        {yes && (
          <ConfirmDialog
            question={text.common.confirm(`${text.verb[asked]}: ${vm.name}`)}
            help={asked === 'remove' || asked === 'removeForce' ? text.common.cannotUndo : text.common.interrupts}
            yes={text.verb[asked]}
            onYes={yes}
            onClose={() => setAsked(undefined)}
          />
        )}
        {asked === 'fork' && (
          <OperationDialog
            id="vm.fork"
            title={text.verb.fork}
            fixed={{ vm: vm.id }}
            show={['count', 'name']}
            onDone={(forks) => {
              const first = (forks as Vm[])[0];
              if (first) void navigate({ to: '/vms/$vm/$tab', params: { vm: first.name, tab: 'overview' } });
            }}
            onClose={() => setAsked(undefined)}
          />
        )}
        {asked === 'snapshot' && (
          <OperationDialog
            id="snapshot.create"
            title={text.verb.snapshot}
            fixed={{ vm: vm.id }}
            show={['label']}
            onClose={() => setAsked(undefined)}
          />
        )}
        {asked === 'rename' && (
          <OperationDialog
            id="vm.rename"
            title={text.verb.rename}
            fixed={{ vm: vm.id }}
            first={{ name: vm.name }}
            onDone={(renamed) =>
              void navigate({ to: '/vms/$vm/$tab', params: { vm: (renamed as Vm).name, tab: 'overview' }, replace: true })
            }
            onClose={() => setAsked(undefined)}
          />
        )}
      </Suspense>
    </>
  );
}
