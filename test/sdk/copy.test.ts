// Files and trees between this host and a guest: names, modes and times as they are, and nothing lost without a word.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, lstat, mkdir, mkdtemp, open, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { VivError } from '../../src/contract/errors.ts';
import type { Client } from '../../src/sdk/client.ts';
import { copyFrom } from '../../src/sdk/copy/copy-from.ts';
import { copyTo } from '../../src/sdk/copy/copy-to.ts';
import type { Vm } from '../../src/sdk/vm.ts';

async function scratch(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'viv-copy-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A guest that keeps the tar stream it gets, and sends it back. */
function guest() {
  const kept = { tar: Buffer.alloc(0), path: '', failure: null as Error | null };
  const vm = { id: 'id', name: 'web', exec: async () => ({ exitCode: 1 }) } as unknown as Vm;
  const client = {
    vm: {
      async copyIn({ path }: { path: string }, tar: Readable) {
        kept.tar = Buffer.concat((await tar.toArray()) as Buffer[]);
        kept.path = path;
        return { files: 1, bytes: 1, skipped: [] };
      },
      copyOut: async () =>
        Readable.from(
          (async function* () {
            yield kept.tar;
            if (kept.failure) throw kept.failure;
          })(),
          { objectMode: false },
        ),
    },
  } as unknown as Client;
  return {
    kept,
    to: (local: string, inside: string) => copyTo(client, vm, local, inside, {}),
    from: (inside: string, local: string) => copyFrom(client, vm, inside, local, {}),
  };
}

test('a tree comes back with its modes, times and the sticky bit, and no mode is wider', async (t) => {
  const folder = await scratch(t);
  const tree = join(folder, 'tree');
  const at = new Date('2001-02-03T04:05:06Z');
  await mkdir(join(tree, 'shared/closed'), { recursive: true });
  for (const [name, mode] of [
    ['none', 0],
    ['own', 0o600],
    ['run', 0o755],
  ] as const) {
    await writeFile(join(tree, name), name);
    await utimes(join(tree, name), at, at);
    await chmod(join(tree, name), mode);
  }
  for (const name of ['shared/closed', 'shared', '.']) await utimes(join(tree, name), at, at);
  await chmod(join(tree, 'shared/closed'), 0o500);
  await chmod(join(tree, 'shared'), 0o1777);

  const web = guest();
  await web.to(tree, '/srv/tree');
  assert.deepEqual(await web.from('/srv/tree', join(folder, 'back')), { files: 3, bytes: 10, skipped: [] });
  for (const name of ['none', 'own', 'run', 'shared', 'shared/closed', '.']) {
    const [sent, back] = await Promise.all([lstat(join(tree, name)), lstat(join(folder, 'back', name))]);
    assert.deepEqual([name, (back.mode & 0o7777).toString(8), back.mtimeMs], [name, (sent.mode & 0o7777).toString(8), at.getTime()]);
  }
  for (const name of ['tree', 'back']) await chmod(join(folder, name, 'shared/closed'), 0o700); // they have to be removed
});

test('a file from a guest does not get the setuid bit, and a folder that exists keeps its mode', async (t) => {
  const folder = await scratch(t);
  await mkdir(join(folder, 'tree'));
  await writeFile(join(folder, 'tree/root-shell'), 'x');
  await chmod(join(folder, 'tree/root-shell'), 0o4755);
  await mkdir(join(folder, 'back'), { mode: 0o700 });
  const web = guest();
  await web.to(join(folder, 'tree'), '/back');
  await web.from('/back', join(folder, 'back/'));
  await web.from('/back', folder);
  assert.equal((await stat(join(folder, 'back/root-shell'))).mode & 0o7777, 0o755);
  assert.equal((await stat(join(folder, 'back'))).mode & 0o7777, 0o700);
});

test('names that are not UTF-8 survive both ways, also long ones and targets of links', async (t) => {
  const folder = await scratch(t);
  const names = ['\xe4', '\xf6', '\xfc', `\xe9${'n'.repeat(140)}`].map((name) => Buffer.from(name, 'latin1'));
  const inside = (name: Buffer) => Buffer.concat([Buffer.from(`${folder}/latin/`), name]);
  await mkdir(join(folder, 'latin'));
  for (const name of names) await writeFile(inside(name), name);
  assert.equal(spawnSync('sh', ['-c', 'cd "$0" && ln -s "$(printf "\\344")" link', join(folder, 'latin')]).status, 0);
  const web = guest();
  await web.to(join(folder, 'latin'), '/srv/');
  assert.deepEqual(await web.from('/srv/latin', join(folder, 'back')), { files: 5, bytes: 144, skipped: [] });
  const list = async (name: string) =>
    (await readdir(join(folder, name), { encoding: 'buffer' })).map((each) => each.toString('latin1')).sort();
  assert.deepEqual(await list('back'), await list('latin'));
  assert.equal((await readFile(join(folder, 'back/link'))).toString('latin1'), '\xe4');
  await assert.rejects(web.to(`${folder}/latin/\uFFFD`, '/srv/'), { code: 'not_found', message: /not valid UTF-8; copy the folder/ });
});

test('FIFOs, devices and sockets in a tree are left out and listed', async (t) => {
  const folder = await scratch(t);
  await mkdir(join(folder, 'tree'));
  await writeFile(join(folder, 'tree/file'), 'x');
  spawnSync('mkfifo', [join(folder, 'tree/pipe')]);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(folder, 'tree/socket'), resolve));
  t.after(() => server.close());
  const { skipped } = await guest().to(join(folder, 'tree'), '/srv');
  assert.deepEqual(skipped, [`${folder}/tree/pipe: it is a FIFO`, `${folder}/tree/socket: it is a socket`]);
});

test('a FIFO that is named itself is copied with its content, and so are files that report no size', async (t) => {
  const folder = await scratch(t);
  const web = guest();
  spawnSync('mkfifo', [join(folder, 'pipe')]);
  const sending = web.to(join(folder, 'pipe'), '/srv/content');
  const pipe = await open(join(folder, 'pipe'), 'w');
  await pipe.writeFile('through a pipe');
  await pipe.close();
  await sending;
  await web.from('/srv/content', join(folder, 'content'));
  assert.equal(await readFile(join(folder, 'content'), 'utf8'), 'through a pipe');
  await web.to('/proc/version', '/srv/version');
  await web.from('/srv/version', join(folder, 'version'));
  assert.equal(await readFile(join(folder, 'version'), 'utf8'), await readFile('/proc/version', 'utf8'));
});

test('a tar stream that ends early is reported as that, and what had arrived is there', async (t) => {
  const folder = await scratch(t);
  await mkdir(join(folder, 'tree'));
  await writeFile(join(folder, 'tree/a'), 'complete');
  await writeFile(join(folder, 'tree/b'), 'x'.repeat(5000));
  const web = guest();
  await web.to(join(folder, 'tree'), '/srv');
  web.kept.tar = web.kept.tar.subarray(0, web.kept.tar.length - 4000);
  await assert.rejects(web.from('/srv', join(folder, 'back')), { code: 'corrupt', message: /ended early/ });
  assert.equal(await readFile(join(folder, 'back/a'), 'utf8'), 'complete');
});

test('where the guest could not read something, everything else is copied and its error is reported', async (t) => {
  const folder = await scratch(t);
  await writeFile(join(folder, 'one'), 'content');
  const web = guest();
  await web.to(join(folder, 'one'), '/srv/one');
  web.kept.failure = new VivError('guest_failed', 'the guest cannot read /srv/two: Input/output error');
  await assert.rejects(web.from('/srv/one', join(folder, 'back')), web.kept.failure);
  assert.equal(await readFile(join(folder, 'back'), 'utf8'), 'content');
});

test('a large file that becomes shorter while it is sent ends the copy with its name', async (t) => {
  const folder = await scratch(t);
  const file = join(folder, 'large');
  await writeFile(file, Buffer.alloc(8 * 1024 * 1024));
  const client = {
    vm: {
      async copyIn(_input: unknown, tar: AsyncIterable<Buffer>) {
        let first = true;
        for await (const _chunk of tar) {
          if (first) await writeFile(file, Buffer.alloc(2 * 1024 * 1024));
          first = false;
        }
        throw new Error('the stream must fail');
      },
    },
  } as unknown as Client;
  const vm = { id: 'id', name: 'web', exec: async () => ({ exitCode: 1 }) } as unknown as Vm;
  await assert.rejects(copyTo(client, vm, file, '/srv/large', {}), { code: 'invalid', message: /large: it became shorter/ });
});
