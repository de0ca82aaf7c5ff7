// Whether the host forwards packets is one setting for all of it, which several homes may need: the first that does turns it on, and the last that goes
// turns it off again, where it was off. What was off is written down first, for all homes together.
import { readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { lockFile } from '../../host/lock.ts';
import { writeWhole } from '../../host/whole-file.ts';
import { hostInterfaces } from './host-network.ts';
import { hostLock, isUplinkOutside } from './interface-names.ts';

export const ipv4Forwarding = '/proc/sys/net/ipv4/ip_forward';
export const ipv6Forwarding = '/proc/sys/net/ipv6/conf/all/forwarding';

const lockDeadlineMs = 5000;
const Files = z.array(z.string().startsWith('/proc/sys/net/'));

/**
 * Turns on what is off of these. Repeatable. @param before what an older version has turned on, and written down elsewhere
 * @param isNew the way out was just made: another home that is about to turn them off may not have seen it
 */
export async function turnOn(files: readonly string[], before: readonly string[], isNew: boolean): Promise<void> {
  if (!isNew && before.length === 0 && (await switchedOff(files)).length === 0) return;
  using _ = await lockFile(hostLock, lockDeadlineMs);
  const off = await switchedOff(files);
  const [record, known] = await read();
  const all = [...new Set([...known, ...before, ...off])];
  if (all.length > known.length) await writeWhole(record, JSON.stringify(all), 0o600);
  for (const file of off) await writeFile(file, '1');
}

/** Turns off what was turned on, unless another home's way out is there. Repeatable. */
export async function turnOff(ip: string, before: readonly string[]): Promise<void> {
  using _ = await lockFile(hostLock, lockDeadlineMs);
  if ((await hostInterfaces(ip)).some(({ name }) => isUplinkOutside(name))) return;
  const [record, known] = await read();
  for (const file of new Set([...known, ...before])) await writeFile(file, '0').catch(() => {});
  await rm(record, { force: true });
}

export async function switchedOff(files: readonly string[]): Promise<string[]> {
  const values = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  return files.filter((_, at) => values[at]?.trim() === '0');
}

/** The settings are a network namespace's own, and so is the record. */
async function read(): Promise<[file: string, known: string[]]> {
  const [number = ''] = /\d+/.exec(await readlink('/proc/self/ns/net')) ?? [];
  const file = `/run/vivarium-forwarding-${number}.json`;
  const known = await readFile(file, 'utf8').then(
    (text) => Files.parse(JSON.parse(text)),
    () => [],
  );
  return [file, known];
}
