// The streams that keep everything on the screen right: events and tasks. A browser has six connections to a host for all its tabs, so one tab holds the
// streams and passes what arrives on to the others; when it closes, the next one continues after the last event that it has seen.

import { affectedBy } from './affects.ts';
import { call } from './call.ts';
import { invalidate, keyOf, queryClient } from './query.ts';
import type { Event, Task } from './types.ts';

type Message = { kind: 'event'; event: Event } | { kind: 'task'; task: Task } | { kind: 'connected' } | { kind: 'lost' };

const gatherMs = 150;
/** More VMs than these that changed at once: the list is asked for again. */
const mostSingle = 10;
export const taskLimit = { limit: 200 } as const;
export const eventLimit = { limit: 500 } as const;

let last: number | undefined;
let connected = true;
const nouns = new Set<string>();
const vms = new Set<string>();
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<(connected: boolean) => void>();

export function onConnection(listener: (connected: boolean) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Begins; the returned function ends it. */
export function startLive(): () => void {
  const channel = new BroadcastChannel('vivarium-live');
  const end = new AbortController();
  channel.onmessage = ({ data }: MessageEvent<Message>) => receive(data);
  const publish = (message: Message) => {
    receive(message);
    channel.postMessage(message);
  };
  const lead = () =>
    new Promise<void>((resolve) => {
      const close = openStreams(publish);
      end.signal.addEventListener('abort', () => {
        close();
        resolve();
      });
    });
  void navigator.locks.request('vivarium-live', { signal: end.signal }, lead).catch(() => {}); // ended before its turn came
  return () => {
    end.abort();
    channel.close();
  };
}

function openStreams(publish: (message: Message) => void): () => void {
  let sources: EventSource[] = [];
  let again: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    for (const source of sources) source.close();
    const events = new EventSource(`/v1/events/follow${last === undefined ? '' : `?after=${last}`}`);
    const tasks = new EventSource('/v1/tasks/watch');
    sources = [events, tasks];
    events.onopen = () => publish({ kind: 'connected' });
    events.onmessage = ({ data }) => publish({ kind: 'event', event: JSON.parse(data) as Event });
    tasks.onmessage = ({ data }) => publish({ kind: 'task', task: JSON.parse(data) as Task });
    for (const source of sources) {
      source.onerror = () => {
        publish({ kind: 'lost' });
        // Refused, not merely broken: the session may have ended. The call says so, and opens the sign-in dialog.
        if (source.readyState !== EventSource.CLOSED) return;
        clearTimeout(again);
        again = setTimeout(() => void call('session.whoami', {}).then(open, () => (again = setTimeout(open, 2000))), 500);
      };
    }
  };
  // After a laptop's sleep a connection may be dead without having said so.
  const resumed = () => document.visibilityState === 'visible' && Date.now() - hiddenAt > 30_000 && open();
  let hiddenAt = Date.now();
  const visibility = () => {
    if (document.visibilityState === 'hidden') hiddenAt = Date.now();
    else resumed();
  };
  document.addEventListener('visibilitychange', visibility);
  window.addEventListener('online', open);
  open();
  return () => {
    document.removeEventListener('visibilitychange', visibility);
    window.removeEventListener('online', open);
    clearTimeout(again);
    for (const source of sources) source.close();
  };
}

function receive(message: Message): void {
  if (message.kind === 'event') receiveEvent(message.event);
  else if (message.kind === 'task') receiveTask(message.task);
  else {
    // What was missed is replayed by number; what has no events is asked for again.
    if (message.kind === 'connected' && !connected) void queryClient.invalidateQueries();
    setConnected(message.kind === 'connected');
  }
}

function setConnected(value: boolean): void {
  connected = value;
  for (const listener of listeners) listener(value);
}

function receiveEvent(event: Event): void {
  if (last !== undefined && event.sequence <= last) return;
  last = event.sequence;
  queryClient.setQueryData(keyOf('event.list', eventLimit), (list: Event[] | undefined) => list && [...list.slice(-2000), event]);
  const noun = event.type.split('.')[0] ?? '';
  if (noun === 'vm' && event.subject !== null) vms.add(event.subject);
  changed(noun);
}

function receiveTask(task: Task): void {
  queryClient.setQueryData(keyOf('task.list', taskLimit), (list: Task[] | undefined) => {
    if (!list) return list;
    const index = list.findIndex(({ id }) => id === task.id);
    return index < 0 ? [task, ...list.slice(0, taskLimit.limit - 1)] : list.with(index, task);
  });
  queryClient.setQueryData(keyOf('task.show', { task: task.id }), task);
  if (task.state !== 'running') changed(task.operation.split('.')[0] ?? '');
}

/** Changes that arrive together are one round of questions. */
export function changed(noun: string): void {
  for (const affected of affectedBy(noun)) nouns.add(affected);
  if (timer === undefined) timer = setTimeout(flush, gatherMs);
}

function flush(): void {
  timer = undefined;
  const those = new Set(nouns);
  const ids = [...vms];
  nouns.clear();
  vms.clear();
  // A long list is mended where it changed.
  const list = queryClient.getQueryData<readonly unknown[]>(keyOf('vm.list', {}));
  if (list && list.length > 50 && ids.length > 0 && ids.length <= mostSingle) {
    those.delete('vm');
    void queryClient.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] === 'vm.show' || queryKey[0] === 'vm.explain' });
    for (const id of ids) void refreshVm(id);
  }
  invalidate(those);
}

async function refreshVm(id: string): Promise<void> {
  const vm = await call('vm.show', { vm: id }).catch(() => null);
  queryClient.setQueryData(keyOf('vm.list', {}), (list: { id: string }[] | undefined) => {
    if (!list) return list;
    const index = list.findIndex((one) => one.id === id);
    if (vm === null) return index < 0 ? list : list.toSpliced(index, 1);
    return index < 0 ? [...list, vm] : list.with(index, vm);
  });
}
