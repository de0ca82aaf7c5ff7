// What the rules have told, kept by a process that outlives the daemon (vivarium-net-tap flows, native/net-tap/flow_files.c): two files that are written by turns. A daemon
// that comes back reads what is there, and all of them read on as it comes.
import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { isProcess } from '../../host/process-start.ts';
import { endStaying, findStaying, type Staying, startStaying } from '../../host/state-directory-lock.ts';
import { type Flow, readFlows } from '../firewall/flow.ts';
import { logGroup } from '../firewall/names.ts';

const startDeadlineMs = 10_000;
/** Whether it is still there is asked so often while nothing is told. */
const lookAfterMs = 2000;
const headerBytes = 24;
/** Where the header has the number of its file. */
const numberAt = 12;

const files = (folder: string): string[] => ['flows.0', 'flows.1'].map((name) => join(folder, name));
const find = (folder: string): Promise<Staying | null> => findStaying(join(folder, 'flows.pid'), `\0${folder}\0`);

/**
 * The process that keeps them, begun where there is none.
 * @param enter what goes before a program's words so that it runs where the networks are @param has whether a process is there
 */
export async function flowRecorder(
  { folder, program, enter, has }: { folder: string; program: string; enter: readonly string[]; has: (pid: number) => Promise<boolean> },
  signal: AbortSignal,
): Promise<Staying> {
  const before = await find(folder);
  if (before !== null && (await has(before.pid))) return before;
  if (before !== null) await endStaying(before);
  const [first = program, ...rest] = [...enter, program, 'flows', String(logGroup), folder];
  return startStaying(first, rest, { timeoutMs: startDeadlineMs, logFile: join(folder, 'flows.log'), signal });
}

/** Repeatable. */
export async function endFlowRecorder(folder: string): Promise<void> {
  const recorder = await find(folder);
  if (recorder !== null) await endStaying(recorder);
}

/** All that is kept, the oldest first, and then what comes. @throws where the process has ended */
export async function* recordedFlows(folder: string, recorder: Staying, signal: AbortSignal): AsyncGenerator<Flow> {
  let wake = () => {};
  let told = false;
  const tell = () => {
    told = true;
    wake();
  };
  const watcher = watch(folder, tell);
  watcher.on('error', () => {}); // then it is looked at now and then
  signal.addEventListener('abort', tell);
  const more = async (): Promise<void> => {
    signal.throwIfAborted();
    if (!told) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, lookAfterMs);
      wake = resolve;
      await promise;
      clearTimeout(timer);
    }
    if (!told && !(await isProcess(recorder.pid, recorder.startTicks))) throw new Error('the process that keeps the flow log has ended');
    told = false;
  };
  try {
    for (let last = 0; ; ) {
      const [next] = (await numbered(folder)).filter(({ number }) => number > last).sort((one, other) => one.number - other.number);
      if (next === undefined) {
        await more();
        continue;
      }
      last = next.number;
      yield* readFlows(grown(folder, next, more));
    }
  } finally {
    signal.removeEventListener('abort', tell);
    watcher.close();
  }
}

interface Numbered {
  readonly path: string;
  readonly number: number;
}

const numbered = (folder: string): Promise<Numbered[]> =>
  Promise.all(
    files(folder).map(async (path) => {
      const file = await open(path, 'r').catch(() => null);
      if (file === null) return { path, number: 0 };
      try {
        return { path, number: await numberOf(file) };
      } finally {
        await file.close();
      }
    }),
  );

/** 0: it has none yet. */
async function numberOf(file: FileHandle): Promise<number> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
  return bytesRead < headerBytes ? 0 : endianness() === 'LE' ? buffer.readUInt32LE(numberAt) : buffer.readUInt32BE(numberAt);
}

/** What is in the file and what is added to it, until the other one has been begun; or until this one has, by whom was too fast for us. */
async function* grown(folder: string, { path, number }: Numbered, more: () => Promise<void>): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  try {
    for (let at = 0, whole = false; ; ) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(65_536), 0, 65_536, at);
      if ((await numberOf(file)) !== number) return;
      at += bytesRead;
      if (bytesRead > 0) {
        yield buffer.subarray(0, bytesRead);
        continue;
      }
      if (whole) return;
      whole = (await numbered(folder)).some((other) => other.number > number);
      if (!whole) await more();
    }
  } finally {
    await file.close();
  }
}
