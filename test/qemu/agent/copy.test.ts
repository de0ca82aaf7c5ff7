// Files in and out through the agent: as they were, and never outside the folder that was named.
import assert from 'node:assert/strict';
import { lstat, mkdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { extract, type Header, pack } from 'tar-stream';
import { cannotBuild } from './build-agent.ts';
import { startAgent } from './start-agent.ts';

const options = { skip: cannotBuild, timeout: 120_000 };
const never = new AbortController().signal;

/** A tar stream of entries; the ones with content are files. */
function tar(entries: readonly (Partial<Header> & { name: string } & { content?: string | Buffer })[]): Readable {
  const stream = pack();
  for (const { content, ...header } of entries) stream.entry(header, content ?? '');
  stream.finalize();
  return Readable.from(stream as unknown as AsyncIterable<Buffer>); // it is no stream of Node
}

async function entries(stream: Readable): Promise<Map<string, { header: Header; content: Buffer }>> {
  const found = new Map<string, { header: Header; content: Buffer }>();
  const reader = extract();
  stream.on('error', (error) => reader.destroy(error));
  stream.pipe(reader);
  for await (const entry of reader) {
    const pieces: Buffer[] = [];
    for await (const piece of entry) pieces.push(piece as Buffer);
    found.set(entry.header.name, { header: entry.header, content: Buffer.concat(pieces) });
  }
  return found;
}

test('a tree goes in with its modes, links and long names, and is counted', options, async (t) => {
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
  assert.deepEqual(counted, { files: 4, bytes: 7 });
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
    // tar-stream itself would take a leading slash off.
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

test('a stream that ends too early or is no tar is told, and one that fails ends the copy', options, async (t) => {
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

test('a copy that is given up ends at once, also while the guest is at work', options, async (t) => {
  const { agent, port } = await startAgent(t);
  const stop = new AbortController();
  const copy = agent.copyIn(port.folder, new PassThrough(), stop.signal);
  setImmediate(() => stop.abort(new Error('given up')));
  await assert.rejects(copy, /given up|ended/);
  await agent.ping(5000);
});

test('a tree comes out below its own name, with modes, links and long names', options, async (t) => {
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

test('a large file comes out as it is, and one that is not there is named', options, async (t) => {
  const { agent, port } = await startAgent(t);
  const content = Buffer.alloc(5_000_001, 'content that repeats ');
  await writeFile(join(port.folder, 'large'), content);
  const found = await entries(agent.copyOut(join(port.folder, 'large'), never));
  assert.ok(found.get('large')?.content.equals(content));
  const none = join(port.folder, 'none');
  const message = `the guest cannot read ${none}: No such file or directory`;
  await assert.rejects(agent.copyOut(none, never).toArray(), { code: 'guest_failed', message });
});
