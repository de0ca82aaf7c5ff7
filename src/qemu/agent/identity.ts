// The identity of a fork: the request to the guest agent, checked, and its answer.
import { isIP } from 'node:net';
import { VivError } from '../../contract/errors.ts';
import type { IdentityRequest, IdentityResult, MacChange } from './channel.ts';

export const minSeedBytes = 32;
const maxSeedBytes = 512;
const maxMacs = 32;
const maxReasonLength = 300;

const mac = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i;
/** RFC 1123. Linux allows 64 characters in total. */
const hostname = /^(?=.{1,64}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;
const keyTypes: readonly string[] = ['rsa', 'ecdsa', 'ed25519', 'dsa'];

/** @throws VivError invalid where the guest would reject it, so that nothing is sent */
export function checkIdentity(request: IdentityRequest): void {
  const { seedBytes, timeMs, machineId, macs = [], sshKeys = [] } = request;
  const reject = (reason: string): never => {
    throw new VivError('invalid', `the identity of the fork is invalid: ${reason}`);
  };
  if (seedBytes && (seedBytes.length < minSeedBytes || seedBytes.length > maxSeedBytes))
    reject(`the seed has ${seedBytes.length} bytes, not ${minSeedBytes} to ${maxSeedBytes}`);
  if (timeMs !== undefined && !(timeMs >= 1 && timeMs < 1e15)) reject(`${timeMs} is not a time in ms since 1970`);
  if (request.hostname !== undefined && !hostname.test(request.hostname))
    reject('the host name must consist of letters, digits, dashes and dots');
  if (machineId !== undefined && (!/^[0-9a-f]{32}$/i.test(machineId) || /^0+$/.test(machineId)))
    reject('the machine-id must be 32 hexadecimal digits, not all of them zero');
  if (macs.length > maxMacs) reject(`it has more than ${maxMacs} MAC addresses`);
  for (const { old, new: own } of macs)
    if (!mac.test(old) || !mac.test(own) || Number.parseInt(own.slice(0, 2), 16) % 2 === 1)
      reject('a MAC address must be a unicast address like 52:54:00:12:34:56');
  for (const { addresses = [], keepAddresses } of macs) {
    const families = addresses.map(familyOf);
    if (families.includes(0)) reject('an IP address must have the prefix of its subnet, like 10.1.2.3/24');
    if (new Set(families).size < families.length) reject('an interface has two IP addresses of one family');
    if (keepAddresses && addresses.length > 0) reject('an interface both keeps its IP addresses and gets others');
  }
  if (new Set(sshKeys.map(({ type }) => type)).size < sshKeys.length) reject('it has two SSH host keys of one type');
  for (const { type } of sshKeys) if (!keyTypes.includes(type)) reject(`${type} is not a type of SSH host key`);
}

/** 4 or 6, or 0 where it is not an address with a prefix. */
function familyOf(text: string): number {
  const [address = '', prefix = '', ...rest] = text.split('/');
  const family = address.includes('%') ? 0 : isIP(address);
  const fits = /^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
  return fits && rest.length === 0 ? family : 0;
}

/** One pair for all interfaces, because an agent skips a key that it does not know. */
function addressPairs(macs: readonly MacChange[]): (readonly [string, string])[] {
  const words = macs.flatMap(({ new: own, addresses = [] }) => (addresses.length === 0 ? [] : [own, ...addresses]));
  return words.length === 0 ? [] : [['addresses', words.join(' ')]];
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

export function identityPairs(request: IdentityRequest): (readonly [string, string])[] {
  checkIdentity(request);
  const { seedBytes, timeMs, hostname: name, machineId, macs = [], sshKeys = [] } = request;
  return [
    ...(seedBytes ? [['seed', seedBytes.toString('hex')] as const] : []),
    ...(timeMs === undefined ? [] : [['time', String(Math.round(timeMs))] as const]),
    ...macs.map(({ old, new: own, keepAddresses }) => [keepAddresses ? 'mac-only' : 'mac', `${old}=${own}`] as const),
    ...addressPairs(macs),
    ...(name === undefined ? [] : [['hostname', name] as const]),
    ...(machineId === undefined ? [] : [['machine-id', machineId] as const]),
    ...sshKeys.map(({ type, privateKey, publicKey }) => ['ssh-key', `${type} ${base64(privateKey)} ${base64(publicKey)}`] as const),
  ];
}

/** Parses lines `done=PART PART…` and `skipped=PART: reason`. The guest's text: bounded, and other lines are ignored. */
export function readIdentityResult(text: string): IdentityResult {
  const lines = text.split('\n').slice(0, 200);
  const after = (key: string) => lines.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
  return {
    done: after('done')
      .flatMap((words) => words.split(' '))
      .filter((word) => /^[a-z-]{1,40}$/.test(word)),
    skipped: after('skipped').map((reason) => reason.replace(/[^\x20-\x7e]/g, '?').slice(0, maxReasonLength)),
  };
}
