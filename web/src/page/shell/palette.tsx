// The palette (Ctrl-K): pages, VMs, networks, images and every operation of the contract.
import { Modal, Text } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { Command } from 'cmdk';
import { useEffect, useState } from 'react';
import { useRead } from '../../api/query.ts';
import type { Id } from '../../api/types.ts';
import { type Described, loadContract } from '../../form/contract.ts';
import { OperationDialog } from '../../form/dialog.tsx';
import { text } from '../../language/index.ts';
import { State } from '../../ui/state.tsx';
import { navigation } from './nav.tsx';

export function Palette({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const vms = useRead('vm.list', {}).data ?? [];
  const networks = useRead('network.list', {}).data ?? [];
  const images = useRead('image.list', {}).data ?? [];
  const [operations, setOperations] = useState<readonly Described[]>([]);
  const [written, setWritten] = useState('');
  const [picked, setPicked] = useState<Id>();
  useEffect(
    () => void loadContract().then((table) => setOperations([...table.values()].filter(({ transport }) => transport === 'json'))),
    [],
  );
  const go = (to: string, params: Record<string, string> = {}) => {
    onClose();
    void navigate({ to, params } as never);
  };
  if (picked) return <OperationDialog id={picked} onClose={onClose} />;
  // Thousands of VMs are found by what is typed, not listed.
  const words = written.toLowerCase();
  const found = vms.filter(({ name }) => name.includes(words)).slice(0, 30);
  return (
    <Modal opened onClose={onClose} withCloseButton={false} padding={0} size="lg" yOffset="12vh" aria-label={text.palette.open}>
      <Command label={text.palette.open} loop filter={matches}>
        <Command.Input placeholder={text.palette.placeholder} value={written} onValueChange={setWritten} data-autofocus />
        <Command.List>
          <Command.Empty>{text.palette.empty}</Command.Empty>
          {found.length > 0 && (
            <Command.Group heading={text.palette.vms}>
              {found.map((vm) => (
                <Command.Item key={vm.id} value={`vm ${vm.name}`} onSelect={() => go('/vms/$vm/$tab', { vm: vm.name, tab: 'overview' })}>
                  <strong>{vm.name}</strong>
                  <State state={vm.state} />
                </Command.Item>
              ))}
            </Command.Group>
          )}
          <Command.Group heading={text.palette.pages}>
            {navigation()
              .flatMap(({ pages }) => [...pages] as (readonly [string, string, string])[])
              .map(([to, , label]) => (
                <Command.Item key={to} value={`page ${label}`} onSelect={() => go(to)}>
                  {label}
                </Command.Item>
              ))}
          </Command.Group>
          {networks.length + images.length > 0 && (
            <Command.Group heading={text.palette.objects}>
              {networks.map(({ name }) => (
                <Command.Item key={`network ${name}`} value={`network ${name}`} onSelect={() => go('/networks')}>
                  {name}
                  <Text fz="xs" c="dimmed">
                    {text.networks.title}
                  </Text>
                </Command.Item>
              ))}
              {images
                .flatMap(({ names }) => names)
                .map((name) => (
                  <Command.Item key={`image ${name}`} value={`image ${name}`} onSelect={() => go('/images')}>
                    {name}
                    <Text fz="xs" c="dimmed">
                      {text.images.title}
                    </Text>
                  </Command.Item>
                ))}
            </Command.Group>
          )}
          <Command.Group heading={text.palette.operations}>
            {operations.map(({ id, summary }) => (
              <Command.Item
                key={id}
                value={`${id} ${summary}`}
                onSelect={() => (id === 'vm.run' || id === 'vm.create' ? go('/create') : setPicked(id as Id))}
              >
                <span className="mono" style={{ flex: 'none' }}>
                  {id}
                </span>
                <Text fz="xs" c="dimmed" className="cut">
                  {summary}
                </Text>
              </Command.Item>
            ))}
          </Command.Group>
        </Command.List>
      </Command>
    </Modal>
  );
}

/** Every word must be in it; the start of a word counts most. */
function matches(value: string, search: string): number {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const lower = value.toLowerCase();
  if (!words.every((word) => lower.includes(word))) return 0;
  return words.every((word) => lower.split(/[\s.-]/).some((part) => part.startsWith(word))) ? 1 : 0.5;
}
