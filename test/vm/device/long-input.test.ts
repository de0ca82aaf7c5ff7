// Whatever a guest can make longer is read in pieces, or refused where it has no end: here each has 3 GiB.
import assert from 'node:assert/strict';
import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GuestAgentPort } from '../../../src/qemu/agent/guest-agent-port.ts';
import { lastWords } from '../../../src/qemu/process.ts';
import { connectQmp } from '../../../src/qemu/qmp.ts';
import { checksumOf } from '../../../src/vm/capture/snapshot-files.ts';
import { followLog, readLog } from '../../../src/vm/device/serial-log.ts';

const GiB = 2 ** 30;
const end = 'what was said last\n';
let folder: string;
let file: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-long-'));
  file = join(folder, 'long');
  await writeFile(file, '');
  await truncate(file, 3 * GiB);
  await using handle = await open(file, 'a');
  await handle.write(end);
});
after(() => rm(folder, { recursive: true, force: true }));

test('the last words of a QEMU log', async () => {
  assert.equal((await lastWords(file, 0)).split('; ').at(-1)?.trim(), end.trim());
});

test('the end of a serial log, and a follower of it', async () => {
  const parts: Buffer[] = [];
  for await (const part of readLog(file, end.length)) parts.push(part);
  assert.equal(Buffer.concat(parts).toString(), end);
  const over = new AbortController();
  for await (const part of followLog(file, { tailBytes: end.length, signal: over.signal })) {
    assert.equal(part.toString(), end);
    over.abort();
  }
});

test('all of a serial log comes in pieces', async () => {
  let pieces = 0;
  for await (const piece of readLog(file)) {
    assert.ok(piece.length <= 65_536, `a piece of ${piece.length} bytes`);
    if (++pieces === 100) break;
  }
  assert.equal(pieces, 100);
});

test('the state of devices, whose checksum is taken', async () => {
  const before = process.memoryUsage().arrayBuffers;
  const { bytes } = await checksumOf(file);
  assert.equal(bytes, 3 * GiB + end.length);
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 2 ** 20);
});

/** Serves a line without end, as fast as it is read; `sent` says how much of it was. */
async function endless(name: string, first: string, act: (path: string) => Promise<unknown>): Promise<number> {
  const path = join(folder, `${name}.sock`);
  const piece = 'x'.repeat(65_536);
  let sent = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}); // the reader has closed it
    socket.resume();
    const write = () => {
      while (!socket.destroyed && sent < 3 * GiB) {
        sent += piece.length;
        if (!socket.write(piece)) return;
      }
    };
    socket.on('drain', write);
    socket.write(first);
    write();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    await act(path);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
  return sent;
}

test('a line of qemu-guest-agent that has no end closes its connection', async () => {
  const sent = await endless('qga', '{"return": "', async (path) => new GuestAgentPort(path).closed);
  assert.ok(sent < GiB / 4, `${sent} bytes were read`);
});

test('a line of QMP that has no end is refused', async () => {
  const sent = await endless('qmp', '{"QMP": {}, "x": "', (path) =>
    assert.rejects(connectQmp(path, { timeoutMs: 60_000 }), /a line that has no end|no QMP|closed/),
  );
  assert.ok(sent < GiB / 4, `${sent} bytes were read`);
});
