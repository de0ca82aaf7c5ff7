// Schema version 1 (Vivarium 0.1.0) to version 2 (0.2.0): keys, fields and files get their new names, and fields that a record may
// lack are filled in, so that readers know one form only.
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Directories, StoredEntry } from './entry.ts';

type Fields = Record<string, unknown>;

const keyPrefixes: Readonly<Record<string, string>> = { point: 'snapshot', pool: 'warm-pool', group: 'security-group' };

const values: Readonly<Record<string, (value: Fields) => unknown>> = {
  vm: vmRecord,
  point: snapshotRecord,
  pool: ({ point, ...pool }) => ({ ...pool, snapshot: point }),
  group: securityGroup,
  network: ({ guarded = true, ...network }) => ({
    ...{ capacityBytesPerSecond: null, hostAccess: [], linkLocal: 'drop', project: null },
    ...network,
    spoofing: guarded ? 'drop' : 'allow',
  }),
  event: eventRecord,
  task: taskRecord,
};

/** Pure. */
export function from1({ key, value }: StoredEntry): StoredEntry {
  const slash = key.indexOf('/');
  const noun = key.slice(0, slash);
  const rewrite = values[noun];
  return {
    key: `${keyPrefixes[noun] ?? noun}${noun === 'check' ? renamedFile(key.slice(slash)) : key.slice(slash)}`,
    value: rewrite !== undefined && typeof value === 'object' && value !== null ? rewrite(value as Fields) : value,
  };
}

/** The key of a file check contains the path of the file. */
const renamedFile = (path: string): string => path.replace(/\/points\/([^/]+\/memory)$/, '/snapshots/$1');

/** 0.1.0 had no resource settings. These are the defaults of 0.2.0. */
const resources = {
  ...{ cpuWeight: 100, cpuReservation: 0, cpuLimit: 0, cpuBurstMs: 0, cpuLending: false, vcpuPins: [], emulatorPin: 'none', maxCpus: 0 },
  ...{ cpuModel: 'default', cpuFeatures: [], memoryMinimumBytes: 0, memoryMaximumBytes: 0, memoryWeight: 100, freePageReporting: true },
  ...{ hugepages: false, ksm: false, ioWeight: 100, diskLimits: [] },
};

function vmRecord(record: Fields): Fields {
  const { wanted, wakeFrom, newcomer, asleep, pool, family: _none, ...rest } = record;
  return {
    vars: null,
    at: null,
    forkedFrom: null,
    project: null,
    ...rest,
    seed: seed(rest['seed']),
    stateReason: reason(rest['stateReason']),
    desired: wanted,
    image: { minMemoryBytes: null, ready: [], ...(rest['image'] as Fields) },
    settings: settings(rest['settings'] as Fields),
    started: started(rest['started']),
    resumeFrom: wakeFrom ?? null,
    pendingIdentity: pendingIdentity(newcomer),
    resumedFromSuspend: asleep ?? false,
    warmPool: pool ?? null,
    nics: (rest['nics'] as Fields[]).map(nic),
  };
}

function reason(found: unknown): unknown {
  if (found === null || typeof found !== 'object') return found;
  const { at, ...rest } = found as Fields;
  return { ...rest, occurredAt: at };
}

function settings({ snapshots, ...rest }: Fields): Fields {
  return { tpm: false, resources, ...rest, snapshotPolicy: snapshots ?? null };
}

function seed(found: unknown): unknown {
  return found === null ? null : { userDataBase64: null, networkConfig: null, ...(found as Fields) };
}

function started(found: unknown): unknown {
  if (found === null) return null;
  const { board, cdroms, ...rest } = found as Fields;
  return {
    slots: 0,
    balloon: false,
    announces: true,
    queueReset: true,
    ...settings(rest),
    machineType: board ?? '',
    cdroms: (cdroms as unknown[]).map((cd) => (typeof cd === 'string' ? { file: cd, digest: null } : cd)),
  };
}

function pendingIdentity(newcomer: unknown): unknown {
  if (newcomer === null || newcomer === undefined) return null;
  const { macs } = newcomer as { macs: Fields[] };
  return { macs: macs.map((mac) => ({ keepAddresses: false, ...mac })) };
}

function nic({ groups, toGuest, fromGuest, ...rest }: Fields): Fields {
  return {
    ...{ ipv4: null, ipv6: null, up: true, slot: null, vlan: null, trunk: [], egress: null },
    ...rest,
    securityGroups: groups ?? [],
    rateIn: toGuest ?? null,
    rateOut: fromGuest ?? null,
  };
}

function snapshotRecord({ sums, machine, ...rest }: Fields): Fields {
  return {
    auto: null,
    thumbnail: null,
    frozenFileSystems: null,
    ...rest,
    checksums: sums === null || sums === undefined ? null : { tpm: {}, ...(sums as Fields) },
    vmRecord: vmRecord(machine as Fields),
  };
}

function securityGroup(group: Fields): Fields {
  const rule = (one: Fields): Fields => {
    const remote = one['remote'] as Fields;
    return remote['kind'] === 'machine' ? { ...one, remote: { kind: 'vm', vm: remote['machine'] } } : one;
  };
  return { ...group, rules: (group['rules'] as Fields[]).map(rule) };
}

const eventTypes: Readonly<Record<string, string>> = {
  'network.attached': 'nic.added',
  'network.detached': 'nic.removed',
  'network.guarded': 'nic.changed',
  'network.limited': 'nic.changed',
  'network.forwarded': 'forward.added',
  'network.unforwarded': 'forward.removed',
};

function eventRecord({ at, type, ...rest }: Fields): Fields {
  return { ...rest, occurredAt: at, type: renamed(type as string, eventTypes) };
}

const operations: Readonly<Record<string, string>> = {
  'network.attach': 'nic.add',
  'network.detach': 'nic.remove',
  'network.link': 'nic.set',
  'network.guard': 'nic.set',
  'network.limit': 'nic.set',
  'network.forward': 'forward.add',
  'network.forwards': 'forward.list',
  'network.unforward': 'forward.remove',
  'vm.copyIn': 'vm.copy-in',
  'vm.copyOut': 'vm.copy-out',
};

/** All tasks have ended (schema.ts), so they have neither input nor state. */
function taskRecord(record: Fields): Fields {
  const task = record['task'] as Fields;
  return { ...record, task: { ...task, operation: renamed(task['operation'] as string, operations) } };
}

/** By its own entry, or by its noun's new name. */
function renamed(id: string, table: Readonly<Record<string, string>>): string {
  const [noun = '', verb = ''] = id.split('.');
  return table[id] ?? (keyPrefixes[noun] === undefined ? id : `${keyPrefixes[noun]}.${verb}`);
}

/** No record and no disk names a file in these folders, and processes that have one open keep it. */
const folders = [
  ['points', 'snapshots'],
  ['sums', 'checksums'],
] as const;

/** @throws what rename(2) says where both folders have files */
export function renameFilesFrom1({ stateDirectory, run }: Directories): void {
  for (const [old, now] of folders)
    if (existsSync(join(stateDirectory, old))) renameSync(join(stateDirectory, old), join(stateDirectory, now));
  const host = join(run, 'network/host.json');
  if (existsSync(host)) {
    const { joints, forwarding: _none, ...rest } = JSON.parse(readFileSync(host, 'utf8')) as Fields;
    if (joints !== undefined) {
      writeFileSync(`${host}.new`, JSON.stringify({ ...rest, bridgeUplinks: joints }), { mode: 0o600 });
      renameSync(`${host}.new`, host);
    }
  }
  // A listening socket answers under its new name.
  const vms = join(run, 'vms');
  for (const id of existsSync(vms) ? readdirSync(vms) : []) {
    const socket = join(vms, id, 'cards.sock');
    if (existsSync(socket)) renameSync(socket, join(vms, id, 'nics.sock'));
  }
}
