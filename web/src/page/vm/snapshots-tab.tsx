// The tree of a VM's snapshots: take one, restore it, fork it, compare it with now, remove it.
import { Badge, Box, Button, Group, Image, Modal, Stack, Text } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { call, messageOf, pathOf } from '../../api/call.ts';
import { useRead } from '../../api/query.ts';
import type { Output, Snapshot, Vm } from '../../api/types.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { bytes, duration, moment } from '../../ui/format.ts';
import { Empty, Loaded, Panel, Waiting } from '../../ui/page.tsx';
import { Ago } from '../../ui/time.tsx';
import { reasonFor } from './actions.tsx';
import { treeOf } from './tree.ts';

export const labelOf = ({ label, createdAt }: Snapshot): string => label ?? moment(createdAt);

export function SnapshotsTab({ vm }: { vm: Vm }) {
  const snapshots = useRead('snapshot.list', { vm: vm.id });
  const take = (
    <OperationButton
      id="snapshot.create"
      title={text.snapshots.take}
      fixed={{ vm: vm.id }}
      show={['label']}
      object={`vm:${vm.name}`}
      reason={reasonFor(vm, 'snapshot')}
      variant="filled"
      size="xs"
    >
      {text.snapshots.take}
    </OperationButton>
  );
  return (
    <Panel title={text.vm.snapshots} padding={0} actions={take}>
      <Loaded query={snapshots}>
        {(list) =>
          list.length === 0 ? (
            <Empty title={text.snapshots.empty} help={text.snapshots.emptyHelp} />
          ) : (
            <Box component="ul" m={0} p={0} aria-label={text.snapshots.tree} style={{ listStyle: 'none' }}>
              {treeOf(list).map(({ snapshot, depth }) => (
                <Row key={snapshot.id} vm={vm} snapshot={snapshot} depth={depth} />
              ))}
            </Box>
          )
        }
      </Loaded>
    </Panel>
  );
}

function Row({ vm, snapshot, depth }: { vm: Vm; snapshot: Snapshot; depth: number }) {
  const [comparing, setComparing] = useState(false);
  const navigate = useNavigate();
  const fixed = { vm: vm.id, snapshot: snapshot.id };
  const object = `vm:${vm.name}`;
  const label = labelOf(snapshot);
  const damaged = snapshot.damage ?? undefined;
  return (
    <li className="tree-row" style={{ paddingLeft: 12 + depth * 26 }}>
      <Preview vm={vm} snapshot={snapshot} />
      <Stack gap={1} className="grow" miw={160}>
        <Group gap={8}>
          <Text fw={600} fz="sm">
            {label}
          </Text>
          {snapshot.current && <Badge size="xs">{text.snapshots.current}</Badge>}
          {snapshot.template && (
            <Badge size="xs" variant="outline">
              {text.snapshots.template}
            </Badge>
          )}
          {snapshot.auto !== null && (
            <Badge size="xs" variant="outline" color="gray">
              {text.snapshots.auto}
            </Badge>
          )}
          {damaged && (
            <Badge size="xs" color="red" title={damaged}>
              {text.snapshots.damaged}
            </Badge>
          )}
        </Group>
        <Text fz="xs" c="dimmed">
          <Ago at={snapshot.createdAt} /> · {snapshot.memory ? text.snapshots.memory : text.snapshots.disksOnly} ·{' '}
          {bytes(snapshot.memoryBytes + snapshot.diskBytes)}
          {snapshot.memory ? ` · ${text.snapshots.took(duration(snapshot.pausedMs))}` : ''}
        </Text>
      </Stack>
      <Group gap={4}>
        <OperationButton
          id="snapshot.restore"
          fixed={fixed}
          object={object}
          reason={damaged}
          size="compact-sm"
          variant="default"
          direct
          question={text.snapshots.restoreConfirm(label)}
          done={text.common.done(`${text.snapshots.restore} ${label}`)}
        >
          {text.snapshots.restore}
        </OperationButton>
        <OperationButton
          id="vm.fork"
          title={text.snapshots.fork}
          fixed={fixed}
          show={['count', 'name']}
          object={object}
          reason={damaged}
          size="compact-sm"
          variant="default"
          onDone={(forks) => {
            const first = (forks as Vm[])[0];
            if (first) void navigate({ to: '/vms/$vm/$tab', params: { vm: first.name, tab: 'overview' } });
          }}
        >
          {text.snapshots.fork}
        </OperationButton>
        <Button size="compact-sm" variant="default" onClick={() => setComparing(true)}>
          {text.snapshots.compare}
        </Button>
        <OperationButton
          id="snapshot.remove"
          fixed={snapshot.template ? { ...fixed, force: true } : fixed}
          object={object}
          size="compact-sm"
          variant="subtle"
          color="red"
          direct
          question={`${text.snapshots.remove}: ${label}?`}
        >
          {text.snapshots.remove}
        </OperationButton>
      </Group>
      {comparing && <Comparison vm={vm} snapshot={snapshot} onClose={() => setComparing(false)} />}
    </li>
  );
}

function Preview({ vm, snapshot }: { vm: Vm; snapshot: Snapshot }) {
  const frame = { width: 84, height: 54, borderRadius: 6, border: '1px solid var(--line)', background: '#101317', flex: 'none' } as const;
  if (snapshot.thumbnail !== 'png') return <Box style={frame} className="hide-small" aria-hidden />;
  return (
    <Image
      src={pathOf('snapshot.thumbnail', { vm: vm.id, snapshot: snapshot.id })}
      alt={text.snapshots.preview(labelOf(snapshot))}
      style={frame}
      fit="contain"
      loading="lazy"
      className="hide-small"
    />
  );
}

function Comparison({ vm, snapshot, onClose }: { vm: Vm; snapshot: Snapshot; onClose: () => void }) {
  const [found, setFound] = useState<Output<'snapshot.diff'> | string>();
  const [asked, setAsked] = useState(false);
  if (!asked) {
    setAsked(true);
    call('snapshot.diff', { vm: vm.id, snapshot: snapshot.id, to: 'now' }).then(setFound, (error: unknown) => setFound(messageOf(error)));
  }
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={`${text.snapshots.difference}: ${labelOf(snapshot)} → ${text.snapshots.now}`}
      closeButtonProps={{ 'aria-label': text.common.close }}
    >
      {found === undefined ? <Waiting /> : typeof found === 'string' ? <Text c="red">{found}</Text> : <Difference difference={found} />}
    </Modal>
  );
}

function Difference({ difference: { disks, files, filesReason } }: { difference: Output<'snapshot.diff'> }) {
  return (
    <Stack gap="sm">
      {disks.every(({ changedBytes }) => changedBytes === 0) && <Text>{text.snapshots.noDifference}</Text>}
      {disks
        .filter(({ changedBytes }) => changedBytes > 0)
        .map(({ id, changedBytes }) => (
          <Text key={id}>{text.snapshots.changedBytes(id, bytes(changedBytes))}</Text>
        ))}
      {files && (
        <>
          <Text fz="sm" c="dimmed">
            {text.snapshots.files(files.added, files.removed, files.changed)}
          </Text>
          <pre className="log" style={{ maxHeight: 340 }}>
            {files.list.map(({ change, on, path }) => `${{ added: '+', removed: '−', changed: '~' }[change]} ${on}:${path}`).join('\n')}
            {files.more > 0 ? `\n${text.snapshots.moreFiles(files.more)}` : ''}
          </pre>
        </>
      )}
      {filesReason && (
        <Text fz="sm" c="dimmed">
          {filesReason}
        </Text>
      )}
    </Stack>
  );
}
