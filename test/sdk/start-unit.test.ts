// Who finds no daemon starts the unit of systemd that has its home; told by a systemctl of the test's own, which keeps what it was asked.
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { bootUnit } from '../../src/cli/boot-unit.ts';
import type { Paths } from '../../src/host/paths.ts';
import { startDaemon } from '../../src/sdk/start-daemon.ts';
import { eventually } from '../eventually.ts';
import { pathsOf } from '../paths-of.ts';

/** Its units are in its home, where a test may put some. */
const uid = 1000;
const limits = { timeout: 60_000 };

let stateDirectory: string;
let env: NodeJS.ProcessEnv;
let paths: Paths;
let server: Server;
const before = process.env['VIV_DAEMON_ENTRY'];

beforeEach(async () => {
  stateDirectory = await mkdtemp(join(tmpdir(), 'viv-unit-'));
  env = { PATH: `${stateDirectory}/bin:${process.env['PATH']}`, HOME: stateDirectory, VIV_HOME: stateDirectory };
  paths = pathsOf(env, uid);
  await mkdir(paths.run, { recursive: true });
  await mkdir(join(stateDirectory, 'bin'));
  server = createServer((_request, response) => response.end('{}'));
  // A daemon beside the unit: it leaves word, and another answers in its place.
  process.env['VIV_DAEMON_ENTRY'] = join(stateDirectory, 'entry.mjs');
  await writeFile(
    join(stateDirectory, 'entry.mjs'),
    `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(join(stateDirectory, 'beside'))}, ''); process.exit(75);`,
  );
});

afterEach(async () => {
  if (before === undefined) delete process.env['VIV_DAEMON_ENTRY'];
  else process.env['VIV_DAEMON_ENTRY'] = before;
  server.close();
  server.closeAllConnections();
  await rm(stateDirectory, { recursive: true, force: true });
});

/** As `viv up --at-boot yes` leaves it; of another home where that is said. */
async function enable(of = stateDirectory): Promise<string> {
  const { name, file, text, desiredBy } = bootUnit({ env, uid, stateDirectory, command: ['/bin/false'] });
  const wants = join(dirname(file), `${desiredBy}.target.wants`);
  await mkdir(wants, { recursive: true });
  await writeFile(file, text.replace(`machines of ${stateDirectory}`, `machines of ${of}`));
  await symlink(file, join(wants, name));
  return name;
}

/** Lines of sh for what systemctl is asked, by its last words but the unit's name. */
async function systemctl(cases: Record<string, string>): Promise<void> {
  const lines = Object.entries(cases).map(([words, act]) => `  '${words}'*) ${act} ;;`);
  const script = `#!/bin/sh\necho "$*" >>'${stateDirectory}/asked'\ncase "$*" in\n${lines.join('\n')}\nesac\n`;
  await writeFile(join(stateDirectory, 'bin/systemctl'), script);
  await chmod(join(stateDirectory, 'bin/systemctl'), 0o755);
}

const asked = () =>
  readFile(join(stateDirectory, 'asked'), 'utf8').then(
    (text) => text.trim().split('\n'),
    () => [],
  );
const wasStartedBeside = () =>
  readFile(join(stateDirectory, 'beside')).then(
    () => true,
    () => false,
  );

/** Starts it; a daemon answers as soon as `when` says so. */
async function started(when: () => Promise<boolean>): Promise<string[]> {
  const notices: string[] = [];
  const starting = startDaemon({ env, paths, uid, onNotice: (message) => notices.push(message) });
  await Promise.race([starting, eventually('it is started', when)]);
  await new Promise<void>((resolve) => server.listen(paths.apiSocket, resolve));
  await starting;
  return notices;
}

test('an enabled unit is started, and no daemon beside it', limits, async () => {
  const name = await enable();
  await systemctl({});
  assert.deepEqual(await started(async () => (await asked()).length > 0), []);
  assert.equal((await asked())[0], `--user start ${name}`);
  assert.equal(await wasStartedBeside(), false);
});

test('where none is enabled, or that of another home, nothing is asked of systemd', limits, async () => {
  await enable('/somewhere/else');
  await systemctl({});
  assert.deepEqual(await started(wasStartedBeside), []);
  assert.deepEqual(await asked(), []);
});

test('where systemctl fails the daemon is started without it, and it is said why', limits, async () => {
  const name = await enable();
  await systemctl({ '--user start': 'echo "Failed to connect to bus" >&2; exit 1' });
  const [notice = '', ...more] = await started(wasStartedBeside);
  assert.match(notice, new RegExp(`^${name} does not start \\(systemctl --user start ${name} failed: Failed to connect to bus\\), so `));
  assert.match(notice, new RegExp(`see: journalctl --user -u ${name}$`));
  assert.deepEqual(more, []);
});

test('so it is where the unit ends again at once', limits, async () => {
  await enable();
  await systemctl({ '--user show --property=ActiveState': 'echo activating' });
  const [notice = ''] = await started(wasStartedBeside);
  assert.match(notice, /does not start \(it is activating again\)/);
});

test('a host that shuts down gets no daemon', limits, async () => {
  await enable();
  await systemctl({ '--user start': 'echo destructive >&2; exit 1', '--user show --property=SystemState': 'echo stopping' });
  await assert.rejects(startDaemon({ env, paths, uid }), {
    code: 'unavailable',
    message: /is shutting down, so the daemon is not started/,
  });
  assert.equal(await wasStartedBeside(), false);
});
