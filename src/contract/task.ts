// Tasks: every change that is under way or was made.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Ref, Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { ErrorBodySchema } from './stream.ts';

/** running -> done | failed | cancelled. A failed or cancelled task has been undone unless `undoError` says otherwise. */
export const TaskState = z.enum(['running', 'done', 'failed', 'cancelled']);

export const TaskStep = z.object({
  name: z.string(),
  state: z.enum(['waiting', 'running', 'done', 'failed', 'undone']),
  startedAt: Time.nullable(),
  endedAt: Time.nullable(),
});

export const Progress = z.object({
  /** What it is doing, for a person. */
  message: z.string(),
  done: z.number().nullable(),
  total: z.number().nullable(),
  unit: z.enum(['bytes', 'steps']).nullable(),
});
export type Progress = z.infer<typeof Progress>;

export const Task = z.object({
  id: z.string(),
  operation: z.string(),
  /** What it acts on: a VM's or image's name, for a person. */
  target: z.string().nullable(),
  state: TaskState,
  steps: z.array(TaskStep),
  progress: Progress.nullable(),
  /** The last lines it logged. */
  log: z.array(z.string()),
  output: z.unknown(),
  error: ErrorBodySchema.nullable(),
  /** Why undoing failed, if it did. */
  undoError: z.string().nullable(),
  /** True when the daemon ended in the middle and took it up again on return. */
  recovered: z.boolean(),
  createdAt: Time,
  endedAt: Time.nullable(),
});
export type Task = z.infer<typeof Task>;

const One = z.object({ task: Ref.describe('Task id') });

export const list = defineOperation({
  id: 'task.list',
  method: 'GET',
  path: '/v1/tasks',
  permission: 'task.read',
  summary: 'List tasks, newest first',
  input: z.object({ state: TaskState.optional(), limit: z.coerce.number().int().min(1).max(1000).default(50) }),
  output: z.array(Task),
  errors: [],
  cli: { words: 'task ls', section: 'Tasks and events', prints: 'task-table' },
});

export const show = defineOperation({
  id: 'task.show',
  method: 'GET',
  path: '/v1/tasks/{task}',
  permission: 'task.read',
  summary: 'Show one task',
  input: One,
  output: Task,
  errors: [...failures.find],
  cli: { words: 'task show', section: 'Tasks and events', prints: 'task-sheet', args: ['task'] },
});

export const cancel = defineOperation({
  id: 'task.cancel',
  method: 'POST',
  path: '/v1/tasks/{task}/cancel',
  permission: 'task.cancel',
  worksWhenDiskFull: true,
  summary: 'Cancel a running task; what it did is undone',
  input: One,
  output: Task,
  errors: [...failures.find, 'wrong_state'],
  cli: { words: 'task cancel', section: 'Tasks and events', prints: 'id', args: ['task'] },
});

/** One event per change, the first at once, the last when it has ended. */
export const follow = defineOperation({
  id: 'task.follow',
  method: 'GET',
  path: '/v1/tasks/{task}/follow',
  permission: 'task.read',
  transport: 'events',
  summary: 'Follow one task until it ends',
  input: One,
  output: Task,
  errors: [...failures.find],
});
