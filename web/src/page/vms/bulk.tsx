// One action on several VMs: at most a few at a time, with the outcome of each.
import { Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { lazy, Suspense, useState } from 'react';
import { call, messageOf } from '../../api/call.ts';
import { changed } from '../../api/live.ts';
import { useReason } from '../../api/may.ts';
import type { Vm } from '../../api/types.ts';
import { text } from '../../language/index.ts';
import { ReasonButton } from '../../ui/reason.tsx';

const ConfirmDialog = lazy(() => import('../../form/dialog.tsx').then(({ ConfirmDialog }) => ({ default: ConfirmDialog })));

type Verb = 'start' | 'stop' | 'suspend' | 'snapshot' | 'remove';
const verbs: readonly Verb[] = ['start', 'stop', 'suspend', 'snapshot', 'remove'];
const asks: ReadonlySet<Verb> = new Set(['stop', 'suspend', 'remove']);
const atOnce = 4;

const request = (verb: Verb, vm: string): Promise<unknown> =>
  verb === 'snapshot' ? call('snapshot.create', { vm }) : verb === 'remove' ? call('vm.remove', { vm }) : call(`vm.${verb}`, { vm });

export function BulkActions({ vms, clear }: { vms: readonly Vm[]; clear: () => void }) {
  const [asked, setAsked] = useState<Verb>();
  const run = async (verb: Verb) => {
    const waiting = [...vms];
    const failures: string[] = [];
    clear();
    const work = async () => {
      for (let vm = waiting.shift(); vm; vm = waiting.shift()) {
        const { id, name } = vm;
        await request(verb, id).catch((error: unknown) => failures.push(`${name}: ${messageOf(error)}`));
      }
    };
    await Promise.all(Array.from({ length: Math.min(atOnce, vms.length) }, work));
    changed('vm');
    notifications.show({
      title: `${text.verb[verb]}: ${text.vms.bulkDone(vms.length - failures.length, vms.length)}`,
      message: (
        <Stack gap={2}>
          {failures.slice(0, 8).map((failure) => (
            <Text key={failure} fz="sm">
              {failure}
            </Text>
          ))}
        </Stack>
      ),
      color: failures.length > 0 ? 'red' : 'teal',
      autoClose: failures.length > 0 ? 15_000 : 3500,
    });
  };
  return (
    <>
      {verbs.map((verb) => (
        <BulkButton key={verb} verb={verb} onClick={() => (asks.has(verb) ? setAsked(verb) : void run(verb))} />
      ))}
      <Suspense fallback={null}>
        {asked && (
          <ConfirmDialog
            question={text.vms.confirmBulk(text.verb[asked], vms.length)}
            help={asked === 'remove' ? text.common.cannotUndo : text.common.interrupts}
            yes={text.verb[asked]}
            onYes={() => void run(asked)}
            onClose={() => setAsked(undefined)}
          >
            <Text fz="sm" c="dimmed">
              {vms
                .slice(0, 12)
                .map(({ name }) => name)
                .join(', ')}
              {vms.length > 12 ? ' …' : ''}
            </Text>
          </ConfirmDialog>
        )}
      </Suspense>
    </>
  );
}

function BulkButton({ verb, onClick }: { verb: Verb; onClick: () => void }) {
  const reason = useReason(verb === 'snapshot' ? 'snapshot.create' : `vm.${verb}`);
  return (
    <ReasonButton size="xs" reason={reason} onClick={onClick} {...(verb === 'remove' && !reason ? { color: 'red', variant: 'light' } : {})}>
      {text.verb[verb]}
    </ReasonButton>
  );
}
