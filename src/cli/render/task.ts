// Tasks and events for reading.
import type { Event } from '../../contract/event.ts';
import type { Task } from '../../contract/task.ts';
import { describeAmount } from '../terminal/screen.ts';
import { formatDuration, formatTime } from './quantity.ts';
import { renderSheet, renderTable } from './table.ts';
import { clean } from './text.ts';

const took = (task: Task, now: number) => formatDuration((task.endedAt ?? now) - task.createdAt);
const outcome = (task: Task) =>
  task.error?.message ??
  (task.state === 'running' ? (task.progress?.message ?? task.steps.find((step) => step.state === 'running')?.name ?? '') : '');

export function taskTable(tasks: readonly Task[], width: number | undefined, now = Date.now()): string[] {
  return renderTable(
    tasks,
    [
      { title: 'TASK', value: (task) => task.id, whole: true },
      { title: 'STATE', value: (task) => task.state },
      { title: 'OPERATION', value: (task) => task.operation },
      { title: 'TARGET', value: (task) => task.target ?? '-' },
      { title: 'STARTED', value: (task) => formatTime(task.createdAt) },
      { title: 'TOOK', value: (task) => took(task, now) },
      { title: 'WHAT', value: outcome },
    ],
    width,
  );
}

export function taskSheet(task: Task, now = Date.now()): string[] {
  const progress =
    task.state === 'running' && task.progress
      ? [task.progress.message, describeAmount(task.progress.done, task.progress.total, task.progress.unit)].filter(Boolean).join(', ')
      : null;
  return renderSheet([
    ['task', task.id],
    ['operation', task.operation],
    ['target', task.target],
    ['state', task.recovered ? `${task.state} (continued after the daemon had ended)` : task.state],
    ['progress', progress],
    ['error', task.error?.message ?? null],
    ['not undone', task.undoError],
    ['started', formatTime(task.createdAt)],
    ['took', took(task, now)],
    ['steps', task.steps.map((step) => `${step.state.padEnd(8)} ${step.name}`)],
    ['log', task.log],
  ]);
}

export const eventLine = (event: Event): string => clean(`${formatTime(event.occurredAt)}  ${event.type.padEnd(18)} ${event.message}`);
