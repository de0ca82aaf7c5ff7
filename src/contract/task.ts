// Tasks: every change in progress, and the latest that ended.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Ref, Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { ErrorBodySchema } from './stream.ts';

/** running -> done | failed | cancelled. A failed or cancelled task has been undone unless `undoError` says otherwise. */
export const TaskState = z.enum(['running', 'done', 'failed', 'cancelled']);

export const TaskStep = z.object({
  name: z.string().describe('What the step does'),
  state: z.enum(['waiting', 'running', 'done', 'failed', 'undone']).describe('State of the step'),
  startedAt: Time.nullable().describe('Time at which it began'),
  endedAt: Time.nullable().describe('Time at which it ended'),
});

export const Progress = z.object({
  message: z.string().describe('What is being done, for a person'),
  done: z.number().nullable().describe('Amount done, in unit'),
  total: z.number().nullable().describe('Whole amount, in unit; null: not known'),
  unit: z.enum(['bytes', 'steps']).nullable().describe('Unit of done and total'),
});
export type Progress = z.infer<typeof Progress>;

export const Task = z.object({
  id: z.string().describe('Id of the task'),
  operation: z.string().describe('Operation it carries out, such as vm.start'),
  target: z.string().nullable().describe('Name of what it acts on'),
  state: TaskState.describe('running, then done, failed or cancelled; undone after failed and cancelled unless undoError is set'),
  steps: z.array(TaskStep).describe('Steps, in order'),
  progress: Progress.nullable().describe('Progress of the current step'),
  log: z.array(z.string()).describe('Last lines of its log'),
  output: z.unknown().describe('Result of the operation; null until it is done'),
  error: ErrorBodySchema.nullable().describe('Why it failed'),
  undoError: z.string().nullable().describe('Why what it did could not be undone'),
  recovered: z.boolean().describe('Whether it was continued after the daemon had ended during it'),
  createdAt: Time.describe('Time at which it was accepted'),
  endedAt: Time.nullable().describe('Time at which it ended'),
});
export type Task = z.infer<typeof Task>;

const One = z.object({ task: Ref.describe('Id of the task') });

export const list = defineOperation({
  id: 'task.list',
  method: 'GET',
  path: '/v1/tasks',
  permission: 'task.read',
  summary: 'List the tasks, newest first',
  input: z.object({
    state: TaskState.optional().describe('Only tasks in this state'),
    limit: z.coerce.number().int().min(1).max(1000).default(50).describe('Number of tasks'),
  }),
  output: z.array(Task),
  errors: [],
  cli: { words: 'task ls', section: 'Tasks and events', prints: 'task-table' },
});

export const show = defineOperation({
  id: 'task.show',
  method: 'GET',
  path: '/v1/tasks/{task}',
  permission: 'task.read',
  summary: 'Show a task',
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
  summary: 'Cancel a running task and undo what it did',
  input: One,
  output: Task,
  errors: [...failures.find, 'wrong_state'],
  cli: { words: 'task cancel', section: 'Tasks and events', prints: 'id', args: ['task'] },
});

/** One event per change: the first immediately, the last when it has ended. */
export const follow = defineOperation({
  id: 'task.follow',
  method: 'GET',
  path: '/v1/tasks/{task}/follow',
  permission: 'task.read',
  transport: 'events',
  summary: 'Follow a task until it ends',
  input: One,
  output: Task,
  errors: [...failures.find],
});

export const watch = defineOperation({
  id: 'task.watch',
  method: 'GET',
  path: '/v1/tasks/watch',
  permission: 'task.read',
  transport: 'events',
  summary: 'Follow all tasks: those that run, then each after every change',
  input: z.object({}),
  output: Task,
  errors: [],
});
