// Starting a daemon where another is being started in the same moment.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { lockDaemon } from '../../src/host/file/lock.ts';
import { knock } from '../../src/sdk/knock.ts';
import { startDaemon } from '../../src/sdk/start-daemon.ts';
import { pathsOf } from '../paths-of.ts';

test('who comes second waits for the daemon that is being started, however long that one takes', { timeout: 60_000 }, async () => {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'viv-second-'));
  // The daemon, and in a file the pid of what was started.
  const entry = join(stateDirectory, 'entry.mjs');
  const daemon = fileURLToPath(new URL('../../src/daemon.ts', import.meta.url));
  await writeFile(
    entry,
    `import { spawnSync } from 'node:child_process';
     import { writeFileSync } from 'node:fs';
     const { status } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ${JSON.stringify(daemon)}], { stdio: 'inherit' });
     writeFileSync(${JSON.stringify(join(stateDirectory, 'pid'))}, String(process.pid));
     process.exit(status ?? 1);`,
  );
  const before = process.env['VIV_DAEMON_ENTRY'];
  process.env['VIV_DAEMON_ENTRY'] = entry;
  const env = { ...process.env, VIV_HOME: stateDirectory };
  const paths = pathsOf(env, process.getuid?.() ?? 0);
  const first = await lockDaemon(paths.daemonLock);
  const server = createServer((_request, response) => response.end('{}'));
  try {
    await mkdir(paths.run, { recursive: true });
    const second = startDaemon({ env, paths });
    await Promise.race([second, ended(join(stateDirectory, 'pid'))]);
    assert.match(await readFile(paths.daemonLog, 'utf8'), /running in this state directory already/);
    await new Promise<void>((resolve) => server.listen(paths.apiSocket, resolve));
    await second;
  } finally {
    if (before === undefined) delete process.env['VIV_DAEMON_ENTRY'];
    else process.env['VIV_DAEMON_ENTRY'] = before;
    server.close();
    server.closeAllConnections();
    await first.release();
    await rm(stateDirectory, { recursive: true, force: true });
  }
});

test('who has been answered goes on asking nobody, also where another question of his fails after that', { timeout: 60_000 }, async () => {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'viv-answered-'));
  const entry = join(stateDirectory, 'entry.mjs');
  await writeFile(entry, 'process.exit(75);'); // another daemon has the home
  const before = process.env['VIV_DAEMON_ENTRY'];
  process.env['VIV_DAEMON_ENTRY'] = entry;
  const env = { ...process.env, VIV_HOME: stateDirectory };
  const paths = pathsOf(env, process.getuid?.() ?? 0);
  await mkdir(paths.run, { recursive: true });
  let asked = 0;
  let late: ServerResponse | undefined;
  const server = createServer((_request, response) => {
    asked += 1;
    if (asked === 1) response.destroy();
    else if (asked > 2) response.end('{}');
    else {
      late = response;
      void utimes(paths.apiSocket, 1, 1); // it looks again
    }
  });
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  try {
    await new Promise<void>((resolve) => server.listen(paths.apiSocket, resolve));
    const already = timers();
    await startDaemon({ env, paths });
    assert.equal(asked, 3);
    late?.destroy();
    for (let nth = 0; nth < 3; nth++) await knock(paths.apiSocket); // by then that has been heard here as well
    assert.equal(timers(), already);
  } finally {
    if (before === undefined) delete process.env['VIV_DAEMON_ENTRY'];
    else process.env['VIV_DAEMON_ENTRY'] = before;
    server.close();
    server.closeAllConnections();
    await rm(stateDirectory, { recursive: true, force: true });
  }
});

/** Resolves when the process whose pid is in the file has gone. */
async function ended(file: string): Promise<void> {
  const deadline = Date.now() + 45_000;
  for (;;) {
    const pid = await readFile(file, 'utf8').catch(() => '');
    if (pid !== '' && !existsSync(`/proc/${pid}`)) return;
    assert.ok(Date.now() < deadline, 'the second daemon ends');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
