// Files in and out through the agent: unchanged, and never outside the given folder.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, lstat, mkdir, readdir, readFile, readlink, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { extract, type Header, pack } from 'tar-stream';
import { cannotBuild } from './build-agent.ts';
import { startAgent } from './start-agent.ts';

const options = { skip: cannotBuild, timeout: 120_000 };
const never = new AbortController().signal;

/** A tar stream of entries. Those with content are files. */
function tar(entries: readonly (Partial<Header> & { name: string } & { content?: string | Buffer })[]): Readable {
  const stream = pack();
  for (const { content, ...header } of entries) stream.entry(header, content ?? '');
  stream.finalize();
  return Readable.from(stream as unknown as AsyncIterable<Buffer>); // it is no stream of Node
}

/** @param filenameEncoding latin1: each byte of a name is one character */
async function entries(
  stream: Readable,
  filenameEncoding: BufferEncoding = 'utf8',
): Promise<Map<string, { header: Header; content: Buffer }>> {
  const found = new Map<string, { header: Header; content: Buffer }>();
  // The types do not know the option.
  const reader = extract({ filenameEncoding } as Parameters<typeof extract>[0]);
  stream.on('error', (error) => reader.destroy(error));
  stream.pipe(reader);
  for await (const entry of reader) {
    const pieces: Buffer[] = [];
    for await (const piece of entry) pieces.push(piece as Buffer);
    found.set(entry.header.name, { header: entry.header, content: Buffer.concat(pieces) });
  }
  return found;
}

test('a tree is copied in with its modes, links and long names, and counted', options, async (t) => {
  const { agent, port } = await startAgent(t);
  const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(120)}`;
  const counted = await agent.copyIn(
    join(port.folder, 'new/place'),
    tar([
      { name: 'dir', type: 'directory', mode: 0o2750 },
      { name: 'dir/run', mode: 0o755, content: 'one' },
      { name: 'dir/again', type: 'link', linkname: 'dir/run' },
      { name: 'dir/soft', type: 'symlink', linkname: '/etc/passwd' },
      { name: 'empty', content: '' },
      { name: long, content: 'deep' },
    ]),
    never,
  );
  const at = (name: string) => join(port.folder, 'new/place', name);
  assert.deepEqual(counted, { files: 4, bytes: 7, skipped: [] });
  assert.equal((await stat(at('dir'))).mode & 0o7777, 0o2750);
  assert.equal((await stat(at('dir/run'))).mode & 0o7777, 0o755);
  assert.equal((await stat(at('dir/again'))).ino, (await stat(at('dir/run'))).ino);
  assert.equal(await readlink(at('dir/soft')), '/etc/passwd');
  assert.equal((await lstat(at('empty'))).size, 0);
  assert.equal(await readFile(at(long), 'utf8'), 'deep');
});

for (const [what, bad] of [
  ['an absolute name', [{ name: '/tmp/viv-agent-escaped', content: 'x' }]],
  ['two dots', [{ name: 'a/../../escaped', content: 'x' }]],
  [
    'a link that the stream made',
    [
      { name: 'way', type: 'symlink', linkname: '..' },
      { name: 'way/escaped', content: 'x' },
    ],
  ],
  ['a hard link that leads out', [{ name: 'taken', type: 'link', linkname: '../secret' }]],
] as const)
  test(`${what} is refused, and nothing is written outside`, options, async (t) => {
    const { agent, port } = await startAgent(t);
    await writeFile(join(port.folder, 'secret'), 'mine');
    // tar-stream would remove a leading slash.
    const bytes = Buffer.concat(await tar(bad.map((entry) => ({ ...entry, name: entry.name.replace(/^\//, '@') }))).toArray());
    if (bytes[0] === 64) {
      bytes[0] = 47;
      bytes.write('        ', 148);
      const sum = bytes.subarray(0, 512).reduce((all, byte) => all + byte, 0);
      bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    }
    await assert.rejects(agent.copyIn(join(port.folder, 'in'), Readable.from([bytes]), never), { code: 'guest_failed' });
    await assert.rejects(stat(join(port.folder, 'escaped')));
    await assert.rejects(stat('/tmp/viv-agent-escaped'));
    await assert.rejects(stat(join(port.folder, 'in/taken')));
  });

test('a stream that ends too early or is not tar is reported, and one that fails ends the copy', options, async (t) => {
  const { agent, port } = await startAgent(t);
  const whole = Buffer.concat(await tar([{ name: 'f', content: Buffer.alloc(100_000) }]).toArray());
  await assert.rejects(agent.copyIn(port.folder, Readable.from([whole.subarray(0, 50_000)]), never), /too early/);
  await assert.rejects(agent.copyIn(port.folder, Readable.from([Buffer.alloc(1024, 'x')]), never), /not a tar/);
  const broken = new PassThrough();
  broken.write(whole.subarray(0, 2048));
  setImmediate(() => broken.destroy(new Error('the disk is gone')));
  await assert.rejects(agent.copyIn(port.folder, broken, never));
  await agent.ping(5000);
});

test('a cancelled copy ends immediately, also while the guest is extracting', options, async (t) => {
  const { agent, port } = await startAgent(t);
  const stop = new AbortController();
  const copy = agent.copyIn(port.folder, new PassThrough(), stop.signal);
  setImmediate(() => stop.abort(new Error('given up')));
  await assert.rejects(copy, /given up|ended/);
  await agent.ping(5000);
});

test('a tree is copied out below its own name, with modes, links and long names', options, async (t) => {
  const { agent, port } = await startAgent(t);
  const name = 'n'.repeat(150);
  await mkdir(join(port.folder, 'tree/sub'), { recursive: true });
  await writeFile(join(port.folder, 'tree/sub', name), 'content', { mode: 0o640 });
  await symlink('sub', join(port.folder, 'tree/soft'));
  const found = await entries(agent.copyOut(join(port.folder, 'tree/'), never));
  assert.deepEqual([...found.keys()].sort(), ['tree/', 'tree/soft', 'tree/sub/', `tree/sub/${name}`].sort());
  assert.equal(found.get(`tree/sub/${name}`)?.content.toString(), 'content');
  assert.equal(found.get(`tree/sub/${name}`)?.header.mode, 0o640);
  assert.equal(found.get('tree/soft')?.header.linkname, 'sub');
});

test('a large file is copied out unchanged, and a missing one is named', options, async (t) => {
  const { agent, port } = await startAgent(t);
  const content = Buffer.alloc(5_000_001, 'content that repeats ');
  await writeFile(join(port.folder, 'large'), content);
  const found = await entries(agent.copyOut(join(port.folder, 'large'), never));
  assert.ok(found.get('large')?.content.equals(content));
  const none = join(port.folder, 'none');
  const message = `the guest cannot read ${none}: No such file or directory`;
  await assert.rejects(agent.copyOut(none, never).toArray(), { code: 'guest_failed', message });
});

const isRoot = process.getuid?.() === 0;

test('modes, times and the sticky bit of files and folders are copied in, never wider', options, async (t) => {
  const { agent, port } = await startAgent(t);
  const mtime = new Date('2001-02-03T04:05:06Z');
  await agent.copyIn(
    port.folder,
    tar([
      { name: 'closed', type: 'directory', mode: 0o500, mtime },
      { name: 'closed/own', mode: 0o400, mtime, content: 'x' },
      { name: 'shared', type: 'directory', mode: 0o1777, mtime },
      { name: 'shared/inner', type: 'directory', mode: 0o700, mtime },
      { name: 'shared/inner/file', mode: 0o4711, mtime, content: 'y' },
      { name: 'shared/link', type: 'symlink', linkname: 'inner', mtime },
    ]),
    never,
  );
  const facts = async (name: string) => {
    const { mode, mtime: time } = await lstat(join(port.folder, name));
    return [(mode & 0o7777).toString(8), time.toISOString()];
  };
  const at = mtime.toISOString();
  assert.deepEqual(await facts('closed/own'), ['400', at]);
  assert.deepEqual(await facts('closed'), ['500', at]);
  assert.deepEqual(await facts('shared'), ['1777', at]);
  assert.deepEqual(await facts('shared/inner'), ['700', at]);
  assert.deepEqual(await facts('shared/inner/file'), ['4711', at]);
  assert.equal((await facts('shared/link'))[1], at);
  await chmod(join(port.folder, 'closed'), 0o700); // it has to be removed
});

test('a folder that exists keeps its owner, mode and time', { ...options, skip: cannotBuild || !isRoot }, async (t) => {
  const { agent, port } = await startAgent(t);
  const folder = join(port.folder, 'home');
  await mkdir(folder, { mode: 0o750 });
  spawnSync('chown', ['nobody', folder]);
  const { uid, mode } = await stat(folder);
  await agent.copyIn(port.folder, tar([{ name: 'home', type: 'directory', mode: 0o755, uid: 0 }]), never);
  assert.deepEqual([(await stat(folder)).uid, (await stat(folder)).mode], [uid, mode]);
});

test('names that are not UTF-8 are copied in and out byte for byte', options, async (t) => {
  const { agent, port } = await startAgent(t);
  const folder = join(port.folder, 'latin');
  await mkdir(folder);
  const names = ['\xe4', '\xf6', '\xfc', `\xe9${'n'.repeat(140)}`].map((name) => Buffer.from(name, 'latin1'));
  const inFolder = (name: Buffer) => Buffer.concat([Buffer.from(`${folder}/`), name]);
  for (const name of names) await writeFile(inFolder(name), name);
  const out = await entries(agent.copyOut(folder, never), 'latin1');
  const sent = names.map((name) => `latin/${name.toString('latin1')}`);
  assert.deepEqual([...out.keys()].sort(), ['latin/', ...sent].sort());

  const again = Buffer.concat((await agent.copyOut(folder, never).toArray()) as Buffer[]);
  await agent.copyIn(join(port.folder, 'copy'), Readable.from([again]), never);
  const arrived = await readdir(join(port.folder, 'copy/latin'), { encoding: 'buffer' });
  assert.deepEqual(arrived.map((name) => name.toString('latin1')).sort(), names.map((name) => name.toString('latin1')).sort());
});

test('files of /proc and /sys are copied out with their content', options, async (t) => {
  const { agent } = await startAgent(t);
  const kernel = await entries(agent.copyOut('/proc/version', never));
  assert.equal(kernel.get('version')?.content.toString(), await readFile('/proc/version', 'utf8'));
  const sys = '/sys/kernel/mm/transparent_hugepage/enabled';
  const found = await entries(agent.copyOut(sys, never));
  assert.equal(found.get('enabled')?.content.toString(), await readFile(sys, 'utf8'));
});

test('FIFOs and sockets are copied out as what they are, and reported when copied in', options, async (t) => {
  const { agent, port } = await startAgent(t);
  const folder = join(port.folder, 'special');
  await mkdir(folder);
  assert.equal(spawnSync('mkfifo', [join(folder, 'pipe')]).status, 0);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve));
  t.after(() => server.close());
  await writeFile(join(folder, 'file'), 'x');
  const found = await entries(agent.copyOut(folder, never));
  assert.equal(found.get('special/pipe')?.header.type, 'fifo');
  assert.equal((found.get('special/socket')?.header.pax as Record<string, string>)?.['VIVARIUM.type'], 'socket');
  assert.equal(found.get('special/file')?.content.toString(), 'x');

  const { skipped, files } = await agent.copyIn(
    join(port.folder, 'in'),
    tar([
      { name: 'pipe', type: 'fifo' },
      { name: 'null', type: 'character-device' },
      { name: 'file', content: 'x' },
    ]),
    never,
  );
  assert.deepEqual({ skipped, files }, { skipped: ['pipe: it is a FIFO', 'null: it is a device'], files: 1 });
});

test('what cannot be read is reported at the end, and everything else is copied out', {
  ...options,
  skip: cannotBuild || !isRoot,
}, async (t) => {
  const { agent, port } = await startAgent(t);
  const tree = join(port.folder, 'tree');
  await mkdir(tree);
  await writeFile(join(tree, 'after'), 'x');
  await symlink('/proc/self/mem', join(tree, 'link'));
  // Reading the memory of a process at address 0 fails, also for root.
  const bind = join(tree, 'before');
  await writeFile(bind, '');
  if (spawnSync('mount', ['--bind', '/proc/self/mem', bind]).status !== 0) return t.skip('no file can be mounted here');
  const seen: string[] = [];
  const reader = extract();
  const stream = agent.copyOut(tree, never);
  stream.on('error', (error) => reader.destroy(error));
  stream.pipe(reader);
  const mounted = { [Symbol.dispose]: () => void spawnSync('umount', [bind]) };
  using _ = mounted;
  await assert.rejects(
    async () => {
      for await (const entry of reader) {
        seen.push(entry.header.name);
        entry.resume();
      }
    },
    { code: 'guest_failed', message: new RegExp(`cannot read ${tree}: tree/before: (Input/output error|No such process)`) },
  );
  assert.ok(seen.includes('tree/after'), String(seen));
});

test('the time of a folder is copied out', options, async (t) => {
  const { agent, port } = await startAgent(t);
  await mkdir(join(port.folder, 'dated'));
  await utimes(join(port.folder, 'dated'), 981173106, 981173106);
  const found = await entries(agent.copyOut(join(port.folder, 'dated'), never));
  assert.equal(found.get('dated/')?.header.mtime?.toISOString(), '2001-02-03T04:05:06.000Z');
});
