// Stderr: messages, and one status line under them that is rewritten on a terminal and printed now and then elsewhere.
// Results never come here; they go to stdout.
import type { Task } from '../../contract/task.ts';
import { formatBytes } from '../render/quantity.ts';
import { clean, cut } from '../render/text.ts';

/** A terminal's status line appears after this long and is rewritten at most this often; elsewhere a line now and then. */
const terminalPace = { firstMs: 300, everyMs: 100 };
const plainPace = { firstMs: 2000, everyMs: 5000 };

export interface Screen {
  /** One message (without line break). */
  say(text: string): void;
  /** Shows `text` for `key` until `settle(key)`; the latest key is shown, with how many more there are. */
  show(key: string, text: string): void;
  settle(key: string): void;
  /** Takes the status line away, whatever happened. */
  end(): void;
}

export function screenOn(stream: NodeJS.WriteStream, now: () => number = () => performance.now()): Screen {
  const terminal = stream.isTTY === true;
  const pace = terminal ? terminalPace : plainPace;
  const shown = new Map<string, string>();
  let drawn = false;
  let due = 0;
  let last = '';
  let timer: NodeJS.Timeout | undefined;
  const wipe = () => {
    if (drawn) stream.write('\r\u001b[K');
    drawn = false;
  };
  const draw = () => {
    timer = undefined;
    const latest = [...shown.values()].at(-1);
    if (latest === undefined) return;
    const text = clean(shown.size > 1 ? `${latest} (and ${shown.size - 1} more)` : latest);
    if (terminal) {
      stream.write(`\r\u001b[K${cut(text, (stream.columns || 80) - 1)}`);
      drawn = true;
    } else if (text !== last) stream.write(`${text}\n`);
    last = text;
    due = now() + pace.everyMs;
  };
  const plan = () => {
    timer ??= setTimeout(draw, Math.max(0, due - now())).unref();
  };
  return {
    say(text) {
      wipe();
      stream.write(`${text}\n`);
      if (shown.size > 0) plan();
    },
    show(key, text) {
      if (shown.size === 0) due = Math.max(due, now() + pace.firstMs);
      shown.set(key, text);
      plan();
    },
    settle(key) {
      shown.delete(key);
      if (shown.size > 0) return;
      clearTimeout(timer);
      timer = undefined;
      wipe();
    },
    end() {
      clearTimeout(timer);
      shown.clear();
      wipe();
    },
  };
}

/** `web: copying the disk, 45% (120 MiB of 266 MiB)` */
export function describeTask(task: Task, what: string): string {
  const running = task.steps.findIndex((step) => step.state === 'running');
  const step = running >= 0 ? (task.steps[running]?.name ?? '') : '';
  const place = running >= 0 && task.steps.length > 1 ? ` (step ${running + 1} of ${task.steps.length})` : '';
  const progress = task.progress;
  if (progress === null) return `${what}: ${step || task.state}${place}`;
  const amount = describeAmount(progress.done, progress.total, progress.unit);
  return `${what}: ${progress.message || step}${amount ? `, ${amount}` : place}`;
}

export function describeAmount(done: number | null, total: number | null, unit: 'bytes' | 'steps' | null): string {
  if (done === null) return '';
  const word = (value: number) => (unit === 'bytes' ? formatBytes(value) : String(value));
  if (total === null || total <= 0) return word(done);
  return `${Math.min(100, Math.floor((done / total) * 100))}% (${word(done)} of ${word(total)})`;
}
