// What `run` and `create` share: the options, the caller's SSH keys, cloud-init user data, and a missing image fetched first.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../contract/errors.ts';
import type { CallInputOf, Operation } from '../contract/operation.ts';
import type { run } from '../contract/vm.ts';
import type { Vm } from '../contract/vm-state.ts';
import type { Client } from '../sdk/client.ts';
import { type Invocation, jsonFlag, one } from './command.ts';
import type { Context } from './context.ts';
import { type Flag, flagsOf } from './parse/flag.ts';
import { nearest } from './parse/nearest.ts';
import { perform } from './perform.ts';
import { clean, quote } from './render/text.ts';

export type VmInput = CallInputOf<typeof run>;

/** Those of the contract; keys and user data are read from files here. */
export function vmFlags(operation: Operation): Flag[] {
  return [
    ...flagsOf(operation, ['sshKeys', 'userData', 'userDataBase64', 'networkConfig']),
    {
      name: 'ssh-key',
      field: 'sshKeyFiles',
      kind: 'text',
      value: 'FILE',
      repeat: true,
      help: 'File with SSH public keys that may log in (default: ~/.ssh/*.pub)',
    },
    { name: 'no-ssh-keys', field: 'noSshKeys', kind: 'boolean', help: 'Allow no SSH key to log in' },
    {
      name: 'user-data',
      field: 'userDataFile',
      kind: 'text',
      value: 'FILE',
      help: 'File with cloud-init user data, passed on unchanged, also compressed; -: standard input',
    },
    {
      name: 'network-config',
      field: 'networkConfigFile',
      kind: 'text',
      value: 'FILE',
      help: 'File with a cloud-init network configuration, passed on unchanged; -: standard input',
    },
    jsonFlag,
  ];
}

/** The input of `vm.create` and `vm.run`; throws `invalid` where a file cannot be used. */
export async function vmInput(invocation: Invocation, context: Context): Promise<VmInput> {
  const { sshKeyFiles, noSshKeys, userDataFile, networkConfigFile, json: _json, noWait: _noWait, ...options } = invocation.flags;
  const [name] = invocation.args['name'] ?? [];
  const files = sshKeyFiles as string[] | undefined;
  if (noSshKeys === true && files) throw new VivError('invalid', '--ssh-key and --no-ssh-keys exclude each other; leave one out');
  const sshKeys = noSshKeys === true ? [] : files ? (await Promise.all(files.map(keysIn))).flat() : await ownKeys(context.env['HOME']);
  if (userDataFile === '-' && networkConfigFile === '-')
    throw new VivError('invalid', '--user-data and --network-config cannot both be standard input; use a file for one of them');
  const userData = typeof userDataFile === 'string' ? userDataFrom(await bytesOf(userDataFile, '--user-data', context)) : {};
  const networkConfig = typeof networkConfigFile === 'string' ? await textOf(networkConfigFile, '--network-config', context) : undefined;
  return {
    ...(options as Partial<VmInput>),
    image: one(invocation, 'image'),
    ...(name === undefined ? {} : { name }),
    ...(sshKeys.length > 0 ? { sshKeys: [...new Set(sshKeys)] } : {}),
    ...userData,
    ...(networkConfig === undefined ? {} : { networkConfig }),
  };
}

/** As text where it is text, so that it can be read in the record; else as Base64. */
function userDataFrom(bytes: Buffer): Pick<VmInput, 'userData' | 'userDataBase64'> {
  const text = asText(bytes);
  return text === null || text.includes('\0') ? { userDataBase64: bytes.toString('base64') } : { userData: text };
}

const keyLine = /^(ssh-|ecdsa-|sk-)\S+ \S+/;
const linesOf = (text: string) =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => keyLine.test(line));

async function keysIn(file: string): Promise<string[]> {
  const keys = linesOf(await textOf(file, '--ssh-key'));
  if (keys.length === 0) throw new VivError('invalid', `--ssh-key: ${quote(file)} contains no public key; use the file that ends in .pub`);
  return keys;
}

/** The caller's public keys; none where there is no such folder. A file that cannot be read is left out. */
async function ownKeys(stateDirectory: string | undefined): Promise<string[]> {
  if (!stateDirectory) return [];
  const folder = join(stateDirectory, '.ssh');
  const names = await readdir(folder).catch(() => [] as string[]);
  const texts = await Promise.all(
    names
      .filter((name) => name.endsWith('.pub'))
      .sort()
      .map((name) => readFile(join(folder, name), 'utf8').catch(() => '')),
  );
  return texts.flatMap(linesOf).slice(0, 64);
}

/** A file's text as it is; throws `invalid` where it cannot be read or is no UTF-8. `-` is standard input where there is a context. */
export async function textOf(file: string, as: string, context?: Context): Promise<string> {
  const text = asText(await bytesOf(file, as, context));
  if (text === null) throw new VivError('invalid', `${as}: ${quote(file)} is not UTF-8 text`);
  return text;
}

/** Null: not UTF-8. */
function asText(bytes: Buffer): string | null {
  try {
    // ignoreBOM: the mark stays, so that the text's bytes are the file's.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

async function bytesOf(file: string, as: string, context?: Context): Promise<Buffer> {
  if (file === '-' && context) return Buffer.concat(await context.stdin.toArray());
  return readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new VivError(
      'invalid',
      `${as}: cannot read ${quote(file)}: ${error.code === 'ENOENT' ? 'there is no such file' : error.code === 'EISDIR' ? 'it is a directory' : error.message}`,
      { cause: error },
    );
  });
}

/** Reports what the VM lacks where this host has no network but QEMU’s own, or a user’s networks have no uplink. */
export async function sayNetwork(client: Client, context: Context, input: VmInput, vm: Vm): Promise<void> {
  const [nic] = vm.nics;
  const isUser = nic?.network === 'user';
  if (nic === undefined || (isUser ? input.networks !== undefined : process.getuid?.() === 0)) return;
  const { networks } = await client.host.show({}, { signal: context.interrupts.signal }).catch(() => ({ networks: [] }));
  const detailOf = (network: string) => networks.find(({ name }) => name === network)?.detail;
  const own = detailOf('own');
  if (isUser && own !== undefined) return; // as requested
  const said = isUser
    ? detailOf('user')
    : own
        ?.split('; ')
        .filter((part) => /no uplink|install it/.test(part))
        .join('; ');
  if (said) context.screen.say(`viv: ${clean(vm.name)}: ${said}`);
}

/** Fetches or builds an image of the catalog that is not here. @throws not_found, with the name that was probably meant */
export async function pullMissing(client: Client, context: Context, image: string): Promise<void> {
  const { signal } = context.interrupts;
  const catalog = await client.image.catalog({}, { signal });
  const entry = catalog.find((candidate) => candidate.name === image);
  if (entry && !entry.present) {
    context.screen.say(
      entry.via === 'build' ? `building ${image}, because it is not here yet` : `fetching ${image}, because it is not here yet`,
    );
    await perform(context, image, (options) => client.image.pull({ image }, options));
  }
  if (entry) return;
  await client.image.show({ image }, { signal }).catch((error: unknown) => {
    throw meant(
      error,
      image,
      catalog.map(({ name }) => name),
    );
  });
}

/** What the daemon says of an image that it does not know, and before that the one that was probably meant. */
function meant(error: unknown, image: string, catalog: readonly string[]): unknown {
  if (!(error instanceof VivError) || error.code !== 'not_found') return error;
  const here = error.details?.['images'];
  const names = [...catalog, ...(Array.isArray(here) ? here.map(String) : [])];
  // `debian` alone is answered with all that there are of it.
  if (names.some((name) => name.split(':')[0] === image.split(':')[0])) return error;
  const close = nearest(image, names);
  return close ? new VivError('not_found', `there is no image ${quote(image)}; did you mean ${close}?`, { cause: error }) : error;
}
