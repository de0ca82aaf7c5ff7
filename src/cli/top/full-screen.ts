// `viv top` on a terminal: the whole screen, drawn anew each interval and after each key, and given back as it was.
import { setTimeout as pause } from 'node:timers/promises';
import type { Top } from '../../contract/top.ts';
import type { Context } from '../context.ts';
import { cut } from '../render/text.ts';
import { enterRaw, sizeOf } from '../terminal/terminal.ts';
import { topLines } from './draw.ts';
import type { Order } from './order.ts';

const enter = '\u001b[?1049h\u001b[?25l';
const leave = '\u001b[?25h\u001b[?1049l';
const keys: Readonly<Record<string, Order>> = { c: 'cpu', m: 'memory', d: 'disk', n: 'network', a: 'name' };
const footer = 'q quit   sort by: c CPU, m memory, d disk, n network, a name   r reverse';

export interface FullScreenOptions {
  readonly order: Order;
  readonly intervalMs: number;
  readonly ask: (signal: AbortSignal) => Promise<Top>;
}

/** Resolves when the user leaves it. @throws what the first answer failed with */
export async function fullScreen({ order, intervalMs, ask }: FullScreenOptions, { stdin, stdout, interrupts }: Context): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, interrupts.signal]);
  let stats = await ask(signal);
  let view: { order: Order; reverse: boolean } = { order, reverse: false };
  let problem: string | null = null;
  const draw = () => {
    const { rows, columns } = sizeOf(stdout);
    const lines = topLines(stats, { ...view, width: columns, rows: rows - 1 }).slice(0, rows - 1);
    const last = cut(problem ?? footer, columns);
    stdout.write(
      `\u001b[H${lines.map((line) => `${line}\u001b[K\r\n`).join('')}\u001b[J\u001b[${rows};1H\u001b[7m${last}\u001b[0m\u001b[K`,
    );
  };
  const onKey = (bytes: Buffer) => {
    for (const key of bytes.toString('latin1')) {
      if (key === 'q' || key === '\u0003') stop.abort();
      else if (key === 'r') view = { ...view, reverse: !view.reverse };
      else if (keys[key]) view = { order: keys[key], reverse: false };
    }
    if (!stop.signal.aborted) draw();
  };
  const restore = enterRaw(stdin);
  const giveBack = () => stdout.write(leave);
  process.once('exit', giveBack);
  stdout.write(enter);
  stdout.on('resize', draw);
  stdin.on('data', onKey);
  stdin.resume();
  try {
    while (!signal.aborted) {
      draw();
      await pause(intervalMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) break;
      try {
        stats = await ask(signal);
        problem = null;
      } catch (error) {
        problem = (error as Error).message; // the daemon restarts: what was seen last stays
      }
    }
  } finally {
    stdin.off('data', onKey);
    stdin.pause();
    stdout.off('resize', draw);
    process.off('exit', giveBack);
    giveBack();
    restore();
  }
}
