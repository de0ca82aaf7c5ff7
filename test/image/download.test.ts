import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { VivError } from '../../src/contract/errors.ts';
import { anyAddress, outgoingPolicy } from '../../src/host/outgoing.ts';
import { download, fetchSmall } from '../../src/image/download.ts';

const content = randomBytes(300_000);
const sha512 = createHash('sha512').update(content).digest('hex');
const sha256 = createHash('sha256').update(content).digest('hex');
const checksum = { algorithm: 'sha512', hex: sha512 } as const;

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;
const answers = new Map<string, Answer>();
const seen = new Map<string, IncomingMessage[]>();
let base = '';
let folder = '';
const server = createServer((request, response) => {
  const path = request.url ?? '/';
  const requests = seen.get(path) ?? [];
  seen.set(path, [...requests, request]);
  const answer = answers.get(path);
  if (answer) answer(request, response, requests.length + 1);
  else response.writeHead(404).end();
});

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-download-'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Serves `path` and downloads it with short pauses. */
async function get(name: string, answer: Answer | null, options: Partial<Parameters<typeof download>[2]> = {}) {
  if (answer) answers.set(`/${name}`, answer);
  const file = join(folder, name);
  const onProgress = (done: number, total: number | null) => {
    options.onProgress?.(done, total);
    const pending = cuts.get(`/${name}`);
    if (!pending || done < pending.bytes) return;
    cuts.delete(`/${name}`);
    pending.response.destroy();
  };
  const result = await download(`${base}/${name}`, file, {
    policy: anyAddress,
    signal: AbortSignal.timeout(60_000),
    checksum,
    stallMs: 30_000,
    retries: 2,
    pauseMs: 5,
    ...options,
    onProgress,
  });
  return { ...result, bytes: await readFile(file) };
}
const leftovers = async (name: string) => (await readdir(folder)).filter((entry) => entry.startsWith(name));
const whole = (response: ServerResponse, body: Buffer = content) =>
  response.writeHead(200, { 'content-length': body.length, etag: '"one"' }).end(body);
const rest = (request: IncomingMessage, response: ServerResponse) => {
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1]);
  response.writeHead(206, {
    'content-length': content.length - from,
    'content-range': `bytes ${from}-${content.length - 1}/${content.length}`,
    etag: '"one"',
  });
  response.end(content.subarray(from));
};
/** Connections to cut as soon as the downloader has so many bytes. */
const cuts = new Map<string, { bytes: number; response: ServerResponse }>();
/** Sends the first part and, when it has arrived, cuts the connection. */
const cut = (response: ServerResponse, bytes: number, headers: Record<string, string | number> = { etag: '"one"' }, body = content) => {
  response.writeHead(200, { 'content-length': body.length, ...headers });
  cuts.set(response.req.url ?? '', { bytes, response });
  response.write(body.subarray(0, bytes));
};

test('a whole file arrives with its progress and its checksums, and nothing else is left', async () => {
  const progress: [number, number | null][] = [];
  const got = await get('whole', (_request, response) => whole(response), { onProgress: (done, total) => progress.push([done, total]) });
  assert.deepEqual(got.bytes, content);
  assert.equal(got.sha256, sha256);
  assert.deepEqual(progress.at(-1), [content.length, content.length]);
  assert.deepEqual(await leftovers('whole'), ['whole']);
});

test('a connection that drops in the middle is taken up where it broke', async () => {
  const got = await get('drop', (request, response, count) => (count === 1 ? cut(response, 100_000) : rest(request, response)));
  assert.deepEqual(got.bytes, content);
  const again = seen.get('/drop')?.[1];
  assert.match(again?.headers.range ?? '', /^bytes=\d+-$/);
  assert.equal(again?.headers['if-range'], '"one"');
});

test('a part left by an earlier daemon is gone on with', async () => {
  const stop = new AbortController();
  const first = get(
    'restart',
    (_request, response) => {
      response.writeHead(200, { 'content-length': content.length, etag: '"one"' });
      response.write(content.subarray(0, 120_000));
    },
    { signal: stop.signal, onProgress: (done) => done >= 120_000 && stop.abort(new Error('the daemon stops')) },
  );
  await assert.rejects(first, /the daemon stops/);
  assert.ok((await leftovers('restart')).includes('restart.part'));
  const got = await get('restart', (request, response) => rest(request, response));
  assert.deepEqual(got.bytes, content);
  assert.equal(seen.get('/restart')?.[1]?.headers.range, 'bytes=120000-');
});

test('a server that ignores Range sends it all again, and that is taken', async () => {
  const got = await get('ignores', (_request, response, count) => (count === 1 ? cut(response, 50_000) : whole(response)));
  assert.deepEqual(got.bytes, content);
});

test('a file without a validator is never pieced together', async () => {
  const got = await get('unmarked', (_request, response, count) => (count === 1 ? cut(response, 50_000, {}) : whole(response)));
  assert.deepEqual(got.bytes, content);
  assert.equal(seen.get('/unmarked')?.[1]?.headers.range, undefined);
});

test('a server that goes silent is asked again, a bounded number of times', async () => {
  await assert.rejects(
    get(
      'silent',
      (_request, response) => {
        response.writeHead(200, { 'content-length': content.length });
        response.flushHeaders();
      },
      { stallMs: 1000 },
    ),
    { code: 'download_failed', message: /sent nothing for 1000 ms/ },
  );
  assert.equal(seen.get('/silent')?.length, 3);
});

test('a transfer that stalls and then continues succeeds', async () => {
  const answer: Answer = (request, response, count) => {
    if (count > 1) return rest(request, response);
    response.writeHead(200, { 'content-length': content.length, etag: '"one"' });
    response.write(content.subarray(0, 77_777));
  };
  const got = await get('stall', answer, { stallMs: 1000, retries: 9 });
  assert.deepEqual(got.bytes, content);
});

test('a file that always ends early fails with how much came', async () => {
  await assert.rejects(
    get('short', (_request, response) => cut(response, 0)),
    { code: 'download_failed' },
  );
});

test('more bytes than were announced are refused', async () => {
  await assert.rejects(
    get('long', (request, response) => {
      // Node's server and client both hold to Content-Length; a Range answer can lie about its total.
      if (!request.headers.range) return cut(response, 50_000);
      response.writeHead(206, { 'content-range': `bytes 50000-59999/60000`, etag: '"one"', 'transfer-encoding': 'chunked' });
      response.end(content.subarray(50_000));
    }),
    { code: 'download_failed', message: /more than the 60000 bytes/ },
  );
  assert.deepEqual(await leftovers('long'), []);
});

test('a wrong checksum is an error that names both, and the download is discarded', async () => {
  await assert.rejects(
    get('wrong', (_request, response) => whole(response, randomBytes(1000))),
    (error: Error & { code?: string }) => error.code === 'checksum' && error.message.includes(sha512),
  );
  assert.deepEqual(await leftovers('wrong'), []);
});

test('a file that changed on the server in the meantime is downloaded again', async () => {
  const old = randomBytes(200_000);
  const got = await get('changed', (_request, response, count) => {
    if (count > 1) return whole(response);
    cut(response, 60_000, { etag: '"old"' }, old);
  });
  assert.deepEqual(got.bytes, content);
});

test('a redirect loop ends; a few redirects are followed; other protocols are not', async () => {
  await assert.rejects(
    get('loop', (_request, response) => response.writeHead(302, { location: '/loop' }).end()),
    { code: 'download_failed', message: /redirects/ },
  );
  answers.set('/target', (_request, response) => whole(response));
  assert.deepEqual((await get('hop', (_request, response) => response.writeHead(301, { location: '/target' }).end())).bytes, content);
  await assert.rejects(
    get('file', (_request, response) => response.writeHead(302, { location: 'file:///etc/shadow' }).end()),
    { code: 'download_failed', message: /neither http nor https/ },
  );
});

test('an absent file fails at once; a server in trouble is asked again', async () => {
  await assert.rejects(get('absent', null), { code: 'download_failed', message: /404/ });
  assert.equal(seen.get('/absent')?.length, 1);
  const got = await get('trouble', (_request, response, count) => (count === 1 ? response.writeHead(503).end() : whole(response)));
  assert.deepEqual(got.bytes, content);
});

test('a file that does not fit is refused before the download', async () => {
  await assert.rejects(
    get('huge', (_request, response) => {
      response.writeHead(200, { 'content-length': 2 ** 52 });
      response.flushHeaders();
    }),
    { code: 'no_space' },
  );
});

test('cancelling ends it at once with the reason', async () => {
  const stop = new AbortController();
  await assert.rejects(
    get(
      'cancel',
      (_request, response) => {
        response.writeHead(200, { 'content-length': content.length });
        response.flushHeaders();
        stop.abort(new Error('cancelled by the user'));
      },
      { signal: stop.signal },
    ),
    /cancelled by the user/,
  );
});

test('a file of checksums that never ends is not read for ever', async () => {
  answers.set('/sums', (_request, response) => {
    const pour = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65536)));
    };
    response.on('drain', pour);
    pour();
  });
  await assert.rejects(fetchSmall(`${base}/sums`, { policy: anyAddress, signal: AbortSignal.timeout(60_000), mostBytes: 1_000_000 }), {
    code: 'download_failed',
    message: /more than/,
  });
});

test('a server that always closes early after a little more is asked a bounded number of times', async () => {
  for (const [name, ranges] of [
    ['creeps', true],
    ['starts-over', false],
  ] as const) {
    let from = 0;
    await assert.rejects(
      get(name, (request, response, count) => {
        from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
        const part = content.subarray(from, from + (ranges ? 1000 : 1000 + (count % 3) * 10));
        const head = from > 0 ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {};
        response.writeHead(from > 0 ? 206 : 200, { ...head, 'content-length': content.length - from, ...(ranges ? { etag: '"e"' } : {}) });
        response.write(part, () => setImmediate(() => response.destroy()));
      }),
      { code: 'download_failed' },
    );
    assert.equal(seen.get(`/${name}`)?.length, 3, name);
  }
});

test('each redirect is checked again, and an open port is not told from a closed one', async () => {
  const only = outgoingPolicy(['127.0.0.1']);
  const { port } = new URL(base);
  const refusals: string[] = [];
  for (const to of [
    `http://127.0.0.2:${port}/x`,
    'http://127.0.0.2:1/x',
    `http://[::ffff:127.0.0.2]:${port}/x`,
    `http://2130706434:${port}/x`,
  ]) {
    answers.set('/away', (_request, response) => void response.writeHead(302, { location: to }).end());
    const error = await get('away', null, { policy: only }).then(
      () => null,
      (reason: unknown) => reason as VivError,
    );
    assert.equal(error?.code, 'forbidden', to);
    refusals.push(error?.message.replace(/127\.0\.0\.2:\d+/, 'HOST') ?? '');
  }
  assert.equal(refusals[0], refusals[1]);
});

test('a name that leads to a refused address is not connected to', async () => {
  const { port } = new URL(base);
  await assert.rejects(
    download(`http://localhost:${port}/x`, join(folder, 'x'), {
      policy: outgoingPolicy([]),
      signal: AbortSignal.timeout(60_000),
      checksum: null,
    }),
    { code: 'forbidden', message: /its address \S+ is (loopback|not public)/ },
  );
});
