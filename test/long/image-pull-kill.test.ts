// The daemon dies while an image of the catalog is built here: the programs that build it end with it, the next daemon begins anew or gives
// it up, and nothing half-made is left. Needs a Debian mirror. As an ordinary user too, who needs uids of his own (/etc/subuid).
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { test } from 'node:test';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';

/** Words of the processes that have this host's folder among their arguments, in their environment or in what is mounted where they are. */
async function processesOf(host: TestHost): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
    const [line, ...facts] = await Promise.all([read('cmdline'), read('environ'), read('mountinfo')]);
    // Of a folder that is mounted elsewhere only the path inside its file system is told.
    if ([line, ...facts].some((text) => text.includes(basename(host.stateDirectory))))
      found.push(`${pid} ${line.replaceAll('\0', ' ').slice(0, 200)}`);
  }
  return found;
}

/** Kills the daemon in the middle of the build, as soon as this program is at work for it. */
async function dieWhile(host: TestHost, image: string, program: string): Promise<void> {
  const pulled = host.client.image.pull({ image });
  pulled.catch(() => {}); // it may hear of its end from the next daemon or not
  await eventually(`${program} is at work`, async () => (await processesOf(host)).some((words) => words.includes(` ${program} `)));
  await host.kill();
  await eventually('all of it has ended', async () => assert.deepEqual(await processesOf(host), []));
  await host.start();
}

for (const [image, program] of [
  ['tiny', 'apt-get'],
  ['debian:13', 'apt-get'],
] as const)
  test(`${image} is built although the daemon dies meanwhile, or given up`, { timeout: 600_000 }, async () => {
    await using host = await testHost({ qemu: 'real', env: { VIV_IMAGES: '' } });
    await host.start();
    await dieWhile(host, image, program);
    if (image === 'tiny') {
      await host.settled();
      await host.client.image.verify({ image });
    } else {
      const [task] = await host.client.task.list({ state: 'running' });
      await eventually('it is begun anew', async () => (await processesOf(host)).some((words) => words.includes('/mmdebstrap ')));
      await host.client.task.cancel({ task: task?.id ?? '' });
      assert.deepEqual(await host.client.image.list({}), []);
    }
    assert.deepEqual(await readdir(host.paths.staging), []);
    const own = (words: string) => !words.startsWith(`${host.pid} `);
    await eventually('nothing is at work', async () => assert.deepEqual((await processesOf(host)).filter(own), []));
    assert.doesNotMatch(await readFile('/proc/self/mounts', 'utf8'), new RegExp(`mmdebstrap|${host.stateDirectory}`), 'nothing is mounted');
  });
