// The part of the host's file of names that is a home's own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { HostNames, hostNamesFile, hostNamesOf, withNames } from '../../../src/network/address/host-names.ts';
import { noWorld } from '../world.ts';

const web = { address: '10.1.2.3', name: 'web.default.viv' };
const db = { address: '10.1.2.4', name: 'db.default.viv' };
const usual = '127.0.0.1\tlocalhost\n# kept as it is \t\n::1 localhost';

const made = (hosts: string, stateDirectory: string) => new HostNames(hosts, stateDirectory, { lock: join(folder, 'lock') });

let folder: string;
let file: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-names-'));
  file = join(folder, 'hosts');
});
after(() => rm(folder, { recursive: true }));

test('a section is appended, changed and removed, and other lines stay', () => {
  const one = withNames(usual, '/a', [web]);
  assert.ok(one.startsWith(`${usual}\n`));
  assert.match(one, /\n10\.1\.2\.3 web\.default\.viv\n# [^\n]*\n$/);
  const two = withNames(one, '/b', [db]);
  assert.equal(withNames(two, '/b', []), one);
  const changed = withNames(two, '/a', [db, web]);
  // The other home has told of db already.
  assert.equal(changed.match(/db\.default\.viv/g)?.length, 1);
  assert.equal(withNames(withNames(changed, '/a', []), '/b', []), `${usual}\n`);
  assert.equal(withNames('', '/a', []), '');
});

test('what the host says of a name counts, and a line that somebody has broken takes nothing else with it', () => {
  assert.equal(withNames('192.0.2.1 WEB.default.viv # mine\n', '/a', [web]), '192.0.2.1 WEB.default.viv # mine\n');
  assert.match(withNames('#192.0.2.1 web.default.viv\n', '/a', [web]), /\n10\.1\.2\.3 web/);
  const whole = withNames('', '/a', [web]);
  for (const half of [whole.replace(/.*ends here.*\n/, ''), whole.replace(/^.*What is changed.*\n/, '')]) {
    const once = withNames(`${half}192.0.2.9 other\n`, '/a', [db]);
    const twice = withNames(once, '/a', [db, { ...db, name: 'new.default.viv' }]);
    for (const text of [once, twice, withNames(twice, '/a', [])]) assert.match(text, /^192\.0\.2\.9 other$/m);
    assert.match(twice, /\n10\.1\.2\.4 db\.default\.viv\n10\.1\.2\.4 new/);
    assert.doesNotMatch(withNames(twice, '/a', []), /Vivarium|10\.1\.2\.4/);
  }
});

test('bytes that are not UTF-8 stay unchanged, and a conflicting name is reported', async () => {
  const bytes = Buffer.concat([Buffer.from('192.0.2.7 drucker # B'), Buffer.from([0xfc]), Buffer.from('ro\n')]);
  await writeFile(file, bytes);
  const names = made(file, folder);
  await names.publish([web]);
  assert.equal((await readFile(file)).indexOf(bytes), 0);
  assert.equal(names.problem, null);
  await writeFile(file, `192.0.2.8 db.default.viv\n`);
  await names.publish([web, db]);
  assert.match(names.problem ?? '', /another line of .* defines db\.default\.viv, so/);
  await names.publish([]);
  assert.equal(await readFile(file, 'utf8'), '192.0.2.8 db.default.viv\n');
});

test('parts stay where they are, so that homes do not write because of each other', () => {
  const both = withNames(withNames(usual, '/a', [web]), '/b', [db]);
  assert.equal(withNames(both, '/a', [web]), both);
  assert.equal(withNames(both, '/b', [db]), both);
  const other = withNames(both, '/a', [{ ...web, name: 'x.default.viv' }]);
  assert.ok(other.indexOf('x.default.viv') < other.indexOf('db.default.viv'));
});

test('state directories that write concurrently keep each other’s sections, and a removed one leaves none', async () => {
  await writeFile(file, usual);
  await chmod(file, 0o640);
  const stateDirectories = await Promise.all(Array.from({ length: 8 }, () => mkdtemp(join(folder, 'home-'))));
  const all = stateDirectories.map((stateDirectory) => made(file, stateDirectory));
  await Promise.all(all.map((names, nth) => names.publish([{ address: '10.1.2.3', name: `m${nth}.default.viv` }])));
  const text = await readFile(file, 'utf8');
  for (const [nth] of all.entries()) assert.match(text, new RegExp(`10\\.1\\.2\\.3 m${nth}\\.default\\.viv\n`));
  assert.equal((await stat(file)).mode & 0o777, 0o640);
  for (const stateDirectory of stateDirectories.slice(1)) await rm(stateDirectory, { recursive: true });
  await all[0]?.publish([]);
  assert.equal(await readFile(file, 'utf8'), `${usual}\n`);
});

test('who finds the file changed by others writes his part again', async () => {
  await writeFile(file, usual);
  const names = made(file, folder);
  await names.publish([web]);
  const { mtimeMs } = await stat(file);
  await names.check();
  assert.equal((await stat(file)).mtimeMs, mtimeMs);
  await writeFile(file, 'written anew\n');
  await names.check();
  assert.match(await readFile(file, 'utf8'), /^written anew\n[\s\S]*10\.1\.2\.3 web/);
  assert.equal(names.problem, null);
});

test('a state directory that writes to no file, or another one, removes its section', async () => {
  await writeFile(file, `${usual}\n`);
  await made(file, folder).publish([web]);
  await new HostNames(null, folder, { lock: join(folder, 'lock'), usual: file }).publish([web]);
  assert.equal(await readFile(file, 'utf8'), `${usual}\n`);
});

test('a file that is a link is written where it is, and one that is not there is a problem and no failure', async () => {
  const link = join(folder, 'link');
  await symlink('hosts', link);
  await writeFile(file, usual);
  await made(link, folder).publish([web]);
  assert.match(await readFile(file, 'utf8'), /10\.1\.2\.3 web/);
  for (const [wrong, words] of [
    [join(folder, 'none'), /no such file/],
    ['/dev/null', /it is not a regular file/],
    ['hosts', /not absolute/],
  ] as const) {
    const names = made(wrong, folder);
    await names.publish([web]);
    assert.match(names.problem ?? '', words);
  }
  // It is tried again.
  const late = join(folder, 'late');
  const names = made(late, folder);
  await names.publish([web]);
  await writeFile(late, '');
  await names.check();
  assert.equal(names.problem, null);
  assert.match(await readFile(late, 'utf8'), /10\.1\.2\.3 web/);
});

for (const { what, mounts } of [
  { what: 'mounted, as in a container', mounts: 'mount --bind "$1" "$2/hosts"' },
  {
    what: 'mounted in a folder that cannot be written',
    mounts: 'mount --bind "$2" "$2" && mount --bind "$1" "$2/hosts" && mount -o remount,bind,ro "$2"',
  },
])
  test(`a file that is ${what} is written in place`, { skip: noWorld }, async () => {
    const etc = await mkdtemp(join(folder, 'etc-'));
    await writeFile(join(etc, 'hosts'), '');
    await writeFile(file, usual);
    const module = new URL('../../../src/network/address/host-names.ts', import.meta.url).href;
    const script = `const { HostNames } = await import(${JSON.stringify(module)});
      const names = new HostNames(process.argv[1] + '/hosts', '/', { lock: ${JSON.stringify(join(folder, 'lock'))} });
      await names.publish([{ address: '10.1.2.3', name: 'web.default.viv' }]);
      if (names.problem) throw new Error(names.problem);`;
    const run = `${mounts} && exec "$3" --input-type=module -e "$4" "$2"`;
    execFileSync('unshare', ['--mount', 'sh', '-c', run, 'sh', file, etc, process.execPath, script], { stdio: 'pipe', timeout: 60_000 });
    assert.match(await readFile(file, 'utf8'), /10\.1\.2\.3 web/);
    assert.equal(await readFile(join(etc, 'hosts'), 'utf8'), '');
  });

test('names of reachable VMs are written for root only', () => {
  const network = (name: string, kind: string) => ({ name, kind });
  const port = (vm: string | null, name: string, vlan: object | null = null) => ({
    vm,
    network: name,
    ipv4: '10.1.2.3',
    ipv6: null,
    vlan,
  });
  const desired = {
    networks: [network('out', 'nat'), network('in', 'isolated'), network('lan', 'bridged')],
    ports: [
      port('web', 'out'),
      port(null, 'out'),
      port('web', 'in'),
      port('web', 'lan'),
      port('web', 'elsewhere'),
      port('tagged', 'out', {}),
    ],
  };
  assert.deepEqual(hostNamesOf(desired as unknown as Parameters<typeof hostNamesOf>[0]), [{ address: '10.1.2.3', name: 'web.out.viv' }]);
  assert.equal(hostNamesFile({}, true), '/etc/hosts');
  assert.equal(hostNamesFile({ VIV_HOST_NAMES: 'none' }, true), null);
  assert.equal(hostNamesFile({ VIV_HOST_NAMES: '/x' }, true), '/x');
  assert.equal(hostNamesFile({}, false), null);
});
