// State of older releases is migrated, of newer ones refused. The fixtures are what real daemons of these releases wrote: 0.1.0 with VMs
// that were running, stopped and suspended, a snapshot, a fork, a warm pool, networks, a port forward and a security group.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Event } from '../../src/contract/event.ts';
import { operationList } from '../../src/contract/index.ts';
import { Task } from '../../src/contract/task.ts';
import { NetworkRecord } from '../../src/network/record/network.ts';
import { ForwardRecord } from '../../src/network/record/port-forward.ts';
import { GroupRecord } from '../../src/network/record/security-group.ts';
import { newestVersion } from '../../src/store/migration/schema.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { SnapshotRecord } from '../../src/vm/capture/snapshot-record.ts';
import { VmRecord } from '../../src/vm/record.ts';
import { WarmPoolRecord } from '../../src/warm-pool/records.ts';

interface Fixture {
  readonly version: number;
  readonly revision: number;
  readonly entries: readonly { key: string; revision: number; value: unknown }[];
}

const fixture = (release: string): Fixture => JSON.parse(readFileSync(join(import.meta.dirname, `fixture/${release}.json`), 'utf8'));

/** The tables of 0.1.0, which 0.2.0 kept. */
const tables = `
  CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL);
  CREATE TABLE entry (key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL, lease TEXT) STRICT, WITHOUT ROWID;
  CREATE INDEX entry_lease ON entry (lease) WHERE lease IS NOT NULL;
  CREATE TABLE lease (id TEXT PRIMARY KEY, ttl_ms INTEGER NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE schema_version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);`;

function write(file: string, { version, revision, entries }: Fixture): void {
  const db = new DatabaseSync(file);
  db.exec(tables);
  db.prepare('INSERT INTO counter VALUES (1, ?)').run(revision);
  db.prepare('INSERT INTO schema_version VALUES (1, ?)').run(version);
  const insert = db.prepare('INSERT INTO entry VALUES (?, ?, ?, NULL)');
  for (const entry of entries) insert.run(entry.key, JSON.stringify(entry.value), entry.revision);
  db.close();
}

function dump(file: string): { version: number; entries: { key: string; value: unknown }[] } {
  const db = new DatabaseSync(file, { readOnly: true });
  const { version } = db.prepare('SELECT version FROM schema_version').get() as { version: number };
  const rows = db.prepare('SELECT key, value FROM entry ORDER BY key').all() as { key: string; value: string }[];
  db.close();
  return { version, entries: rows.map(({ key, value }) => ({ key, value: JSON.parse(value) })) };
}

const inFolder = (what: string, act: (folder: string, file: string) => Promise<void>) =>
  test(what, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'viv-migration-'));
    await act(folder, join(folder, 'state.db')).finally(() => rm(folder, { recursive: true }));
  });

const schemas = {
  'vm/': VmRecord,
  'snapshot/': SnapshotRecord,
  'warm-pool/': WarmPoolRecord,
  'network/': NetworkRecord,
  'forward/': ForwardRecord,
  'security-group/': GroupRecord,
  'event/': Event,
} as const;

/** The paths of what the schema does not know, which it leaves out, or reads as something else. */
function leftOver(value: unknown, parsed: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return value === parsed ? [] : [path];
  if (typeof parsed !== 'object' || parsed === null) return [path];
  return Object.entries(value).flatMap(([name, one]) => leftOver(one, (parsed as Record<string, unknown>)[name], `${path}.${name}`));
}

for (const release of ['0.1.0', '0.2.0']) {
  inFolder(`every record of ${release} is read whole, with no field left over`, async (_folder, file) => {
    write(file, fixture(release));
    const store = await openSqliteStore(file);
    const seen = new Set<string>();
    for (const { key, value } of await store.list('')) {
      const [prefix, schema] = Object.entries(schemas).find(([one]) => key.startsWith(one)) ?? [];
      if (prefix === undefined || schema === undefined) continue;
      seen.add(prefix);
      const parsed: unknown = schema.parse(value);
      assert.deepEqual(leftOver(value, parsed), [], key);
      assert.deepEqual(parsed, value, `${key} has every field`);
    }
    assert.deepEqual(seen, new Set(Object.keys(schemas)));
    const operations = new Set<string>(operationList.map(({ id }) => id));
    for (const { value } of await store.list('task/')) {
      const task = Task.parse((value as { task: unknown }).task);
      assert.ok(operations.has(task.operation), task.operation);
    }
    await store.close();
  });
}

inFolder('what 0.1.0 knew of a VM is what 0.2.0 knows', async (_folder, file) => {
  write(file, fixture('0.1.0'));
  const store = await openSqliteStore(file);
  const vms = (await store.list('vm/')).map(({ value }) => VmRecord.parse(value));
  const byName = (name: string) => vms.find((vm) => vm.name === name) ?? assert.fail(name);
  assert.deepEqual([byName('web').state, byName('web').desired, byName('web').nics[0]?.securityGroups], ['running', 'running', ['websrv']]);
  assert.deepEqual(byName('off').settings.snapshotPolicy?.rules, [{ everyMs: 600_000, keep: 2 }]);
  assert.equal(byName('web').started?.machineType, 'pc-q35-10.0');
  const [snapshot] = (await store.list('snapshot/'))
    .map(({ value }) => SnapshotRecord.parse(value))
    .filter(({ label }) => label === 'ready');
  assert.equal(byName('web').at, snapshot?.id);
  assert.ok((snapshot?.checksums?.devices?.bytes ?? 0) > 0);
  const ready = vms.find(({ warmPool }) => warmPool === 'warm') ?? assert.fail('the warm pool has a member');
  assert.equal(ready.resumeFrom, snapshot?.id);
  assert.equal(ready.pendingIdentity?.macs.length, 2);
  const { rules } = GroupRecord.parse((await store.get('security-group/websrv'))?.value);
  assert.deepEqual(rules[1]?.remote, { kind: 'vm', vm: byName('web').id });
  await store.close();
});

inFolder('a copy of the older state is kept, and a second start migrates nothing', async (_folder, file) => {
  const before = fixture('0.1.0');
  write(file, before);
  const migrated: string[] = [];
  const open = () => openSqliteStore(file, { onMigrated: ({ release, copy }) => migrated.push(release, copy) });
  await (await open()).close();
  assert.deepEqual(migrated, ['0.1.0', `${file}.before-0.2.0`]);
  const sorted = before.entries.map(({ key, value }) => ({ key, value })).sort((a, b) => (a.key < b.key ? -1 : 1));
  assert.deepEqual(dump(`${file}.before-0.2.0`), { version: 1, entries: sorted });
  const after = dump(file);
  assert.equal(after.version, newestVersion);
  await (await open()).close();
  assert.equal(migrated.length, 2);
  assert.deepEqual(dump(file), after);
});

inFolder(
  'folders and run files get their new names, sockets of running VMs still answer, and it may be done twice',
  async (folder, file) => {
    write(file, fixture('0.1.0'));
    const run = join(folder, 'run');
    for (const made of ['points/a', 'sums', 'snapshots', 'run/network', 'run/vms/one']) mkdirSync(join(folder, made), { recursive: true });
    writeFileSync(join(folder, 'points/a/memory'), 'memory');
    writeFileSync(join(folder, 'sums/a.memory'), 'sums');
    const host = {
      ipv4: '10.0.0.0/30',
      ipv6: 'fd00::/64',
      forwarding: [],
      forwards: ['/proc/sys/a'],
      joints: [{ network: 'n', interface: 'e' }],
    };
    writeFileSync(join(run, 'network/host.json'), JSON.stringify(host));
    const server = createServer((socket) => socket.end('here'));
    await new Promise<void>((resolve) => server.listen(join(run, 'vms/one/cards.sock'), resolve));
    try {
      for (let round = 0; round < 2; round++) {
        await (await openSqliteStore(file, { directories: { stateDirectory: folder, run } })).close();
        assert.deepEqual(readdirSync(join(folder, 'snapshots/a')), ['memory']);
        assert.deepEqual(readdirSync(join(folder, 'checksums')), ['a.memory']);
        assert.equal(existsSync(join(folder, 'points')) || existsSync(join(folder, 'sums')), false);
        assert.deepEqual(JSON.parse(readFileSync(join(run, 'network/host.json'), 'utf8')), {
          ...{ ipv4: '10.0.0.0/30', ipv6: 'fd00::/64', forwards: ['/proc/sys/a'], bridgeUplinks: [{ network: 'n', interface: 'e' }] },
        });
        const socket = createConnection(join(run, 'vms/one/nics.sock'));
        const [said] = await socket.toArray();
        assert.equal(String(said), 'here');
        const db = new DatabaseSync(file); // as if it had died between the files and the entries
        db.exec('UPDATE schema_version SET version = 1');
        for (const { key, value } of fixture('0.1.0').entries)
          db.prepare('INSERT OR REPLACE INTO entry VALUES (?, ?, 1, NULL)').run(key, JSON.stringify(value));
        db.exec(`DELETE FROM entry WHERE key LIKE 'snapshot/%' OR key LIKE 'warm-pool/%' OR key LIKE 'security-group/%'`);
        db.close();
      }
    } finally {
      server.close();
    }
  },
);

inFolder('state of 0.1.0 with an unfinished task is refused and left as it is', async (folder, file) => {
  const before = fixture('0.1.0');
  const entries = before.entries.map((entry, at) =>
    entry.key.startsWith('task/') && before.entries.findIndex(({ key }) => key.startsWith('task/')) === at
      ? { ...entry, value: { ...(entry.value as object), phase: 'running' } }
      : entry,
  );
  write(file, { ...before, entries });
  const was = dump(file);
  mkdirSync(join(folder, 'points'));
  await assert.rejects(openSqliteStore(file, { directories: { stateDirectory: folder, run: join(folder, 'run') } }), {
    code: 'wrong_state',
    message: /cannot migrate .* Vivarium 0\.1\.0 has unfinished tasks .*viv task ls/,
  });
  assert.deepEqual(dump(file), was);
  assert.ok(existsSync(join(folder, 'points')));
});

inFolder('state of a newer release is refused and left as it is', async (_folder, file) => {
  write(file, { ...fixture('0.2.0'), version: newestVersion + 1 });
  const was = dump(file);
  await assert.rejects(openSqliteStore(file), { code: 'unsupported', message: /schema version 3.*knows versions up to 2.*Install/ });
  assert.deepEqual(dump(file), was);
});
