// Toy operations that leave files behind: each step makes one, its undo removes it.
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import type { Store } from '../../src/store/store.ts';
import { createTasks, type TaskOptions } from '../../src/task/engine.ts';
import { createEventLog } from '../../src/task/event-log.ts';
import type { Call, TaskHandler } from '../../src/task/handler.ts';

export interface Toy {
  folder: string;
  /** Step that fails. */
  fails?: string;
  a?: string;
  b?: string;
  c?: string;
}

const step = (name: 'a' | 'b' | 'c') => ({
  name,
  run: async (state: Toy) => {
    appendFileSync(join(state.folder, 'trail'), `${name} `);
    writeFileSync(join(state.folder, name), '');
    if (state.fails === name) throw new Error(`${name} fails`);
    return { [name]: name };
  },
  undo: async (state: Toy) => {
    appendFileSync(join(state.folder, 'trail'), `-${name} `);
    rmSync(join(state.folder, name), { force: true });
  },
});

export const toy: TaskHandler<Toy, string, Toy, object> = {
  prepare: async (input) => input,
  target: () => 'toy',
  queue: () => 'toy',
  steps: [step('a'), step('b'), step('c')],
  output: async (state) => `${state.a}${state.b}${state.c}`,
};

export const log = pino({ level: 'silent' });
export const call = {
  caller: { user: null, name: 'tester' },
  objects: [],
  signal: new AbortController().signal,
} as unknown as Call<object>;

export function toyTasks(store: Store, handlers: Record<string, unknown>, options: Partial<TaskOptions<object>> = {}) {
  return createTasks({ store, events: createEventLog(store, log), log, handlers, services: () => ({}), ...options });
}
