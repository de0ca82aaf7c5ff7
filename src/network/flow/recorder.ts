// The flow recorder: a process that outlives the daemon (vivarium-net-tap flows, native/net-tap/flow_files.c) and writes what the rules log to two files
// in turn. A daemon that returns reads what is there, and then what is added.
import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { endStaying, findStaying, type Staying, startStaying } from '../../host/process/background.ts';
import { isProcess } from '../../host/process/start-ticks.ts';
import { logGroup } from '../firewall/names.ts';
import { type Flow, parseFlows } from './nflog.ts';

const startDeadlineMs = 10_000;
/** How often it is checked that the recorder is alive while nothing is logged. */
const checkEveryMs = 2000;
const headerBytes = 24;
/** Offset of the file's sequence number in the header. */
const numberAt = 12;

const files = (folder: string): string[] => ['flows.0', 'flows.1'].map((name) => join(folder, name));
const find = (folder: string): Promise<Staying | null> => findStaying(join(folder, 'flows.pid'), `\0${folder}\0`);

/**
 * The recorder, started where none runs.
 * @param enter the words before a program's own that run it in the namespace
 * @param has whether a process is in the namespace
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

/** Everything that was recorded, oldest first, and then what is added. @throws where the recorder has ended */
export async function* recordedFlows(folder: string, recorder: Staying, signal: AbortSignal): AsyncGenerator<Flow> {
  let notify = () => {};
  let hasChanged = false;
  const onChange = () => {
    hasChanged = true;
    notify();
  };
  const watcher = watch(folder, onChange);
  watcher.on('error', () => {}); // then the files are polled
  signal.addEventListener('abort', onChange);
  const more = async (): Promise<void> => {
    signal.throwIfAborted();
    if (!hasChanged) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, checkEveryMs);
      notify = resolve;
      await promise;
      clearTimeout(timer);
    }
    if (!hasChanged && !(await isProcess(recorder.pid, recorder.startTicks))) throw new Error('the flow recorder has ended');
    hasChanged = false;
  };
  try {
    for (let last = 0; ; ) {
      const [next] = (await numbered(folder)).filter(({ number }) => number > last).sort((one, other) => one.number - other.number);
      if (next === undefined) {
        await more();
        continue;
      }
      last = next.number;
      yield* parseFlows(grown(folder, next, more));
    }
  } finally {
    signal.removeEventListener('abort', onChange);
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

/** 0: the file has none yet. */
async function numberOf(file: FileHandle): Promise<number> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
  return bytesRead < headerBytes ? 0 : endianness() === 'LE' ? buffer.readUInt32LE(numberAt) : buffer.readUInt32BE(numberAt);
}

/** The content of the file and what is added to it, until the recorder has started the other file, or has started this one again. */
async function* grown(folder: string, { path, number }: Numbered, more: () => Promise<void>): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  try {
    for (let at = 0, isComplete = false; ; ) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(65_536), 0, 65_536, at);
      if ((await numberOf(file)) !== number) return;
      at += bytesRead;
      if (bytesRead > 0) {
        yield buffer.subarray(0, bytesRead);
        continue;
      }
      if (isComplete) return;
      isComplete = (await numbered(folder)).some((other) => other.number > number);
      if (!isComplete) await more();
    }
  } finally {
    await file.close();
  }
}
