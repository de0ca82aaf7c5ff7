// Which files differ between two file systems, read by a guest that mounts one after the other: by what they are, their owner, size and times
// (the kernel's own change time with it, which a guest's programs cannot set). Names are bytes and come ended by a zero.
import type { Readable } from 'node:stream';
import { VivError } from '../../contract/errors.ts';
import type { FileDifference } from '../../contract/snapshot.ts';
import type { AgentConnection } from '../../qemu/agent/channel.ts';
import { findScript, mountScript, namesScript, statsScript, unmountScript } from './reader-scripts.ts';
import { sides } from './reader-vm.ts';

const mostNamed = 10_000;
const mostPathCharacters = 2 ** 20;
/** Some 400,000 files. */
const mostListBytes = 48 * 2 ** 20;

/** What a guest's file system has: name (bytes, as latin1) to what stat says of it. */
type Tree = Map<string, string>;

/** @param disks ids, without the side. `difference` null: none could be compared. `oneSided`: what has a readable file system at one of the two
 * only, and is left out. @throws guest_failed, too_large, no_agent */
export async function compareFiles(
  agent: AgentConnection,
  disks: readonly string[],
  signal: AbortSignal,
): Promise<{ difference: FileDifference | null; oneSided: string[] }> {
  const serials = sides.flatMap((side) => disks.map((disk) => `${side}-${disk}`));
  const found = (await output(agent, findScript, serials, signal)).toString().trim().split('\n').filter(Boolean);
  const volumes = new Map(
    found.map((line) => {
      const [serial, partition, ...mounting] = line.split(' ');
      return [`${serial} ${partition}`, mounting];
    }),
  );
  const difference: FileDifference = { added: 0, removed: 0, changed: 0, list: [], more: 0 };
  const room = { characters: mostPathCharacters };
  const oneSided: string[] = [];
  const names = new Set([...volumes.keys()].map((key) => key.slice(key.indexOf('-') + 1)));
  for (const volume of names) {
    const [disk = '', partition = ''] = volume.split(' ');
    const name = partition === '0' ? disk : `${disk}${partition}`;
    const [from, to] = sides.map((side) => volumes.get(`${side}-${volume}`));
    if (from && to) addDifference(difference, name, await list(agent, from, signal), await list(agent, to, signal), room);
    else oneSided.push(name);
  }
  return { difference: oneSided.length < names.size ? difference : null, oneSided };
}

/** One at a time: the file systems of both sides take each other for themselves. */
async function list(agent: AgentConnection, mounting: readonly string[], signal: AbortSignal): Promise<Tree> {
  await output(agent, mountScript, mounting, signal);
  const names = (await output(agent, namesScript, [], signal)).toString('latin1').split('\0').slice(0, -1);
  const listed = await output(agent, statsScript, [], signal);
  const stats = listed.toString('latin1').split('\n').slice(0, -1);
  await output(agent, unmountScript, mounting, signal);
  if (names.length !== stats.length)
    throw new VivError(
      'guest_failed',
      `the file system on ${mounting.at(-1)} is damaged: ${names.length - stats.length} of its files cannot be looked at`,
    );
  return new Map(names.map((name, nth) => [name.slice(1) || '/', stats[nth] ?? '']));
}

/** Pure but for `into` and `room`. @param on the file system's name in the list */
export function addDifference(into: FileDifference, on: string, from: Tree, to: Tree, room: { characters: number }): void {
  const add = (change: 'added' | 'removed' | 'changed', name: string, stat: string) => {
    into[change] += 1;
    const path = readable(name);
    room.characters -= path.length;
    if (into.list.length < mostNamed && room.characters >= 0)
      into.list.push({ on, path, change, kind: kindOf(stat), bytes: Number(stat.split(' ')[3]) });
    else into.more += 1;
  };
  for (const [name, stat] of to) {
    const before = from.get(name);
    if (before === undefined) add('added', name, stat);
    else if (before !== stat && (kindOf(stat) !== 'directory' || !isSameFolder(before, stat))) add('changed', name, stat);
  }
  for (const [name, stat] of from) if (!to.has(name)) add('removed', name, stat);
}

/** A directory's times and size change with its entries, which are compared. */
const isSameFolder = (one: string, other: string): boolean => {
  const [a, b] = [one.split(' '), other.split(' ')];
  return [0, 1, 2].every((nth) => a[nth] === b[nth]);
};

function kindOf(stat: string): FileDifference['list'][number]['kind'] {
  const type = Number.parseInt(stat, 16) & 0xf000;
  return type === 0x8000 ? 'file' : type === 0x4000 ? 'directory' : type === 0xa000 ? 'link' : 'other';
}

/** As text; where it is none, and for control characters, bytes are written \xNN, a backslash \\. */
export function readable(name: string): string {
  const bytes = Buffer.from(name, 'latin1');
  const text = bytes.toString('utf8');
  const escaped = (part: string) => `\\x${part.charCodeAt(0).toString(16).padStart(2, '0')}`;
  if (!Buffer.from(text, 'utf8').equals(bytes)) return name.replaceAll('\\', '\\\\').replace(/[^\x20-\x7e]/g, escaped);
  return text.replaceAll('\\', '\\\\').replace(/\p{Cc}/gu, escaped);
}

/** Standard output of a script that has to succeed. */
async function output(agent: AgentConnection, script: string, args: readonly string[], signal: AbortSignal): Promise<Buffer> {
  signal.throwIfAborted();
  const channel = agent.exec({ command: ['/bin/sh', '-c', script, 'sh', ...args], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
  const stop = () => channel.close();
  signal.addEventListener('abort', stop, { once: true });
  const read = async (stream: Readable) => {
    const chunks: Buffer[] = [];
    let total = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      total += chunk.length;
      if (total > mostListBytes)
        throw new VivError('too_large', 'a file system has too many files to be compared; leave them out with --no-files');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  };
  try {
    channel.stdin.end();
    const [end, stdout, stderr] = await Promise.all([channel.ended, read(channel.stdout), read(channel.stderr)]);
    if (end.exitCode === 0) return stdout;
    throw new VivError('guest_failed', `the guest that reads the files could not: ${stderr.toString().trim().slice(-500)}`);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    channel.close();
  }
}
