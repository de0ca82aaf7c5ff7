// A task in one line, with its progress while it runs.
import { Group, Progress, Stack, Text } from '@mantine/core';
import type { Task } from '../../api/types.ts';
import { bytes, percent } from '../../ui/format.ts';
import { State } from '../../ui/state.tsx';

export function TaskLine({ task }: { task: Task }) {
  const share = shareOf(task);
  const step = task.steps.find(({ state }) => state === 'running');
  return (
    <Stack gap={4}>
      <Group gap="sm" justify="space-between" wrap="nowrap">
        <Text fz="sm" className="cut grow">
          <span className="mono">{task.operation}</span> {task.target}
        </Text>
        <State state={task.state} activity={task.state === 'running' ? (share === null ? '…' : percent(share)) : undefined} />
      </Group>
      {task.state === 'running' && (
        <Progress
          value={share ?? 100}
          animated={share === null}
          size={5}
          radius="xl"
          aria-label={`${task.operation} ${task.target ?? ''}`}
        />
      )}
      {task.state === 'running' && (
        <Text fz="xs" c="dimmed" className="cut">
          {task.progress?.message ?? step?.name}
          {task.progress?.unit === 'bytes' && task.progress.done !== null ? ` · ${bytes(task.progress.done)}` : ''}
        </Text>
      )}
    </Stack>
  );
}

/** Null: not known. */
function shareOf({ progress, steps }: Task): number | null {
  if (progress && progress.done !== null && progress.total) return (progress.done / progress.total) * 100;
  const done = steps.filter(({ state }) => state === 'done').length;
  return steps.length > 1 ? (done / steps.length) * 100 : null;
}
