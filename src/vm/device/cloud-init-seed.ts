// The cloud-init seed: a NoCloud CD (volume CIDATA) that says who a VM is, who may log in, and brings the agent along.
// https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html
// Generated documents are JSON, which YAML contains: no string of a user's can end up as anything but a string.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { VivError } from '../../contract/errors.ts';
import type { Arch } from '../../contract/field.ts';
import { type IsoFile, writeIso } from '../../host/file/iso.ts';
import { agentKit } from '../../host/guest-asset.ts';

export interface SeedSettings {
  /** A VM's own; cloud-init starts over when it changes. */
  readonly instanceId: string;
  readonly hostname: string;
  readonly users: readonly string[];
  readonly sshKeys: readonly string[];
  /** Passed on byte for byte. */
  readonly userData?: string | Uint8Array;
  /** Version 1 or 2; null: cloud-init asks DHCP on the first interface. */
  readonly networkConfig?: string | null;
  readonly arch: Arch;
}

export interface SeedFile {
  readonly name: string;
  readonly content: Buffer;
}

/** The documents of a seed. Throws `invalid` for user data that cloud-init would not know what to do with. Pure. */
export function seedFiles(settings: SeedSettings): SeedFile[] {
  return [
    { name: 'meta-data', content: Buffer.from(`${yaml(metaData(settings))}\n`) },
    {
      name: 'user-data',
      content: settings.userData === undefined ? Buffer.from('#cloud-config\n{}\n') : checkSeed(settings.userData),
    },
    { name: 'vendor-data', content: Buffer.from(`#cloud-config-archive\n${yaml(vendorData(settings))}\n`) },
    ...(settings.networkConfig ? [{ name: 'network-config', content: Buffer.from(settings.networkConfig) }] : []),
  ];
}

/** Writes the seed's CD. The agent is on it when it has been built. */
export async function writeSeed(iso: string, settings: SeedSettings, options: { signal: AbortSignal }): Promise<void> {
  const documents = seedFiles(settings);
  const folder = await mkdtemp(join(dirname(iso), '.seed-'));
  try {
    const files: IsoFile[] = [];
    for (const { name, content } of documents) {
      const file = join(folder, name);
      await writeFile(file, content, { mode: 0o600 });
      files.push({ name, file });
    }
    await writeIso(iso, 'CIDATA', [...files, ...(await kitOf(settings.arch))], options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Guests without our agent fall back to qemu-guest-agent, so a host without the agent's binary still makes a seed. */
async function kitOf(arch: Arch): Promise<IsoFile[]> {
  return agentKit(arch).catch((error: unknown) => {
    if (error instanceof VivError && error.code === 'missing_program') return [];
    throw error;
  });
}

function metaData({ instanceId, hostname, sshKeys }: SeedSettings): object {
  return { 'instance-id': instanceId, 'local-hostname': hostname, ...(sshKeys.length > 0 ? { 'public-keys': sshKeys } : {}) };
}

/** What we ask of cloud-init; the user's own data goes before it where both say something. */
function vendorData(settings: SeedSettings): object {
  const { hostname, users, sshKeys } = settings;
  const config = {
    hostname,
    preserve_hostname: false,
    growpart: { mode: 'auto', devices: ['/'] },
    resize_rootfs: true,
    users: ['default', ...users.map((name) => ({ name, sudo: 'ALL=(ALL) NOPASSWD:ALL', lock_passwd: true, ssh_authorized_keys: sshKeys }))],
    ...(sshKeys.length > 0 ? { ssh_authorized_keys: sshKeys } : {}),
  };
  return [
    { type: 'text/cloud-config', content: `#cloud-config\n${yaml(config)}\n` },
    { type: 'text/x-shellscript', filename: 'vivarium', content: firstBootScript(users) },
  ];
}

/** A vendor script and not `runcmd`, which a `runcmd` of the user's would replace. */
function firstBootScript(users: readonly string[]): string {
  const shells = users.map((user) => `  usermod -s /bin/bash '${user.replaceAll("'", "'\\''")}' || true`);
  return [
    '#!/bin/sh',
    ...(shells.length > 0 ? ['if [ -x /bin/bash ]; then', ...shells, 'fi'] : []),
    '# The agent comes along on the CD that this came from; images built by Vivarium have it already.',
    '[ -x /usr/local/sbin/vivarium-agent ] && exit 0',
    'cd=$(mktemp -d) || exit 0',
    'mount -o ro LABEL=CIDATA "$cd" 2>/dev/null || mount -o ro -t iso9660 /dev/disk/by-label/CIDATA "$cd" || exit 0',
    '[ -f "$cd/install.sh" ] && sh "$cd/install.sh"',
    'umount "$cd"',
    'rmdir "$cd"',
    'exit 0',
    '',
  ].join('\n');
}

/** First lines that cloud-init knows. https://cloudinit.readthedocs.io/en/latest/explanation/format.html */
const headers = [
  '#cloud-config-archive',
  '#cloud-config-jsonp',
  '#cloud-config',
  '#cloud-boothook',
  '#include-once',
  '#include',
  '#part-handler',
  '#upstart-job',
  '#!',
  '## template:',
  'Content-Type:',
  'MIME-Version:',
];

/** User data as bytes. Throws `invalid` for what cloud-init would not know what to do with. */
function checkSeed(userData: string | Uint8Array): Buffer {
  const bytes = Buffer.from(userData as Uint8Array);
  const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const start = bytes.toString('latin1', 0, 64).toLowerCase();
  if (gzipped || bytes.length === 0 || headers.some((header) => start.startsWith(header.toLowerCase()))) return bytes;
  const first = bytes.toString('utf8', 0, 60).split(/\r?\n/, 1)[0] ?? '';
  throw new VivError(
    'invalid',
    `cloud-init would ignore this user data: it begins with ${JSON.stringify(first)}, and has to begin with a line such as #cloud-config, #! or Content-Type: multipart/mixed`,
  );
}

/** Checks what was asked for before anything is created. @throws invalid */
export function checkSeedOptions({
  userData,
  userDataBase64,
  networkConfig,
  users,
}: {
  readonly userData?: string | undefined;
  readonly userDataBase64?: string | undefined;
  readonly networkConfig?: string | undefined;
  readonly users: readonly string[];
}): void {
  if (userData !== undefined && userDataBase64 !== undefined)
    throw new VivError('invalid', 'userData and userDataBase64 exclude each other; leave one out');
  const given = userDataBase64 === undefined ? userData : Buffer.from(userDataBase64, 'base64');
  if (given !== undefined) {
    const bytes = checkSeed(given);
    if (users.length > 0 && namesUsers(bytes))
      throw new VivError(
        'invalid',
        'the user data has a list of users, which replaces the users that are asked for; leave users out, or name them in the user data',
      );
  }
  if (networkConfig !== undefined && !/^\s*\{|^(network|version)\s*:/m.test(networkConfig))
    throw new VivError(
      'invalid',
      'cloud-init would ignore this network configuration: it has neither version nor network at its top level; begin it with version: 2',
    );
}

/** Larger data is not looked through. */
const mostUnpacked = 16 * 1024 * 1024;

/** Whether cloud-config in the user data has `users`, which takes the place of the vendor data's. */
function namesUsers(bytes: Buffer): boolean {
  const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  try {
    const text = (gzipped ? gunzipSync(bytes, { maxOutputLength: mostUnpacked }) : bytes).toString('latin1');
    return /cloud-config/.test(text) && /^\s*(- )?["']?users["']?\s*:/m.test(text);
  } catch {
    return false; // no gzip after all: cloud-init reports it
  }
}

/** JSON whose every character YAML 1.1 allows, too: what it calls unprintable is escaped, half surrogate pairs are replaced. */
function yaml(document: object): string {
  const wellFormed = JSON.stringify(document, (_key, value: unknown) => (typeof value === 'string' ? value.toWellFormed() : value), 2);
  return wellFormed.replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
