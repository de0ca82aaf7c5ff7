// IP forwarding is one setting of the host, which several state directories may need: the first uplink turns it on, the last one that is removed turns it
// off again where it was off. What was off is recorded first, in one file for all of them.
import { readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { lockFile } from '../../host/file/lock.ts';
import { writeWhole } from '../../host/file/whole-file.ts';
import { hostInterfaces } from './host-network.ts';
import { hostLock, isUplinkOnHost } from './interface-names.ts';

export const ipv4Forwarding = '/proc/sys/net/ipv4/ip_forward';
export const ipv6Forwarding = '/proc/sys/net/ipv6/conf/all/forwarding';

const lockDeadlineMs = 5000;
const Files = z.array(z.string().startsWith('/proc/sys/net/'));

/**
 * Turns on those of these settings that are off. Repeatable.
 * @param isNew the uplink was just created: a daemon that is about to turn the settings off may not have seen it
 */
export async function turnOn(files: readonly string[], isNew: boolean): Promise<void> {
  if (!isNew && (await switchedOff(files)).length === 0) return;
  using _ = await lockFile(hostLock, lockDeadlineMs);
  const off = await switchedOff(files);
  const [record, known] = await read();
  const all = [...new Set([...known, ...off])];
  if (all.length > known.length) await writeWhole(record, JSON.stringify(all), 0o600);
  for (const file of off) await writeFile(file, '1');
}

/** Turns off what was turned on, unless another state directory's uplink exists. Repeatable. */
export async function turnOff(ip: string): Promise<void> {
  using _ = await lockFile(hostLock, lockDeadlineMs);
  if ((await hostInterfaces(ip)).some(({ name }) => isUplinkOnHost(name))) return;
  const [record, known] = await read();
  for (const file of known) await writeFile(file, '0').catch(() => {});
  await rm(record, { force: true });
}

export async function switchedOff(files: readonly string[]): Promise<string[]> {
  const values = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  return files.filter((_, at) => values[at]?.trim() === '0');
}

/** The record belongs to a network namespace, as the settings do. */
async function read(): Promise<[file: string, known: string[]]> {
  const [number = ''] = /\d+/.exec(await readlink('/proc/self/ns/net')) ?? [];
  const file = `/run/vivarium-forwarding-${number}.json`;
  const known = await readFile(file, 'utf8').then(
    (text) => Files.parse(JSON.parse(text)),
    () => [],
  );
  return [file, known];
}
