// How much of something is used, as a bar with its numbers beside it.
import { Group, Progress, Stack, Text } from '@mantine/core';
import { percent } from './format.ts';

export function Bar({ label, value, total, detail, note }: { label: string; value: number; total: number; detail: string; note?: string }) {
  const share = total > 0 ? (value / total) * 100 : 0;
  return (
    <Stack gap={5}>
      <Group justify="space-between" gap="xs" wrap="nowrap">
        <Text fz="sm" fw={600}>
          {label}
        </Text>
        <Text fz="sm" c="dimmed" className="cut">
          {detail}
        </Text>
      </Group>
      <Progress
        value={Math.min(100, share)}
        size={8}
        radius="xl"
        color={share > 92 ? 'red' : share > 80 ? 'orange' : 'teal'}
        aria-label={`${label}: ${percent(share)}`}
      />
      {note && (
        <Text fz="xs" c="dimmed">
          {note}
        </Text>
      )}
    </Stack>
  );
}
