import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { anyAddress } from '../../src/host/outgoing.ts';
import { standardCatalog } from '../../src/image/catalog.ts';
import { checksumOf, parseChecksum } from '../../src/image/checksum.ts';
import { expectedChecksum } from '../../src/image/fetch.ts';
import { checkSignature } from '../../src/image/signature.ts';
import { unpack } from '../../src/image/unpack.ts';
import * as signed from './signed-sums.ts';

const folder = await mkdtemp(join(tmpdir(), 'viv-fetch-'));
after(() => rm(folder, { recursive: true, force: true }));
const hex = 'ab'.repeat(32);
const other = 'cd'.repeat(32);
const signal = AbortSignal.timeout(120_000);

test('a file’s sum is found in every shape that vendors publish', () => {
  const cases: [string, string][] = [
    ['GNU', `${other}  b.img\n${hex}  a.img\n`],
    ['GNU, binary', `${hex} *a.img\n${other} *b.img\n`],
    ['with ./', `${hex}  ./a.img\n`],
    ['BSD', `SHA512 (a.img) = ${'ee'.repeat(64)}\nSHA256 (a.img) = ${hex}\nSHA256 (b.img) = ${other}\n`],
    ['Fedora', `# a.img: 555 bytes\nSHA256 (a.img) = ${hex.toUpperCase()}\n`],
    ['bare', `${hex}\n`],
    ['one line of a dated name', `${hex}  a-20260101.img\n`],
  ];
  for (const [shape, text] of cases) assert.deepEqual(checksumOf(text, 'a.img', 'sha256', 'here'), { algorithm: 'sha256', hex }, shape);
});

test('a file without a checksum, with two different ones, or one of the wrong length is not trusted', () => {
  for (const text of [
    '',
    '<html>404</html>',
    `${hex}  b.img\n${other}  c.img\n`,
    `${hex}  a.img\n${other}  a.img\n`,
    `${hex.slice(2)}  a.img\n`,
  ]) {
    assert.throws(() => checksumOf(text, 'a.img', 'sha256', 'here'), { code: 'download_failed' }, text);
  }
  assert.throws(() => parseChecksum(`sha512:${hex}`), { code: 'invalid' });
});

test('xz, gzip and zstd are unpacked; what is none of them is left; what is damaged is corrupt', async () => {
  const content = Buffer.alloc(300_000, 'disk');
  const packed = { xz: execFileSync('xz', ['-c'], { input: content }), gz: gzipSync(content), zst: zstdCompressSync(content) };
  for (const [kind, bytes] of Object.entries(packed)) {
    const [from, to] = [join(folder, `in.${kind}`), join(folder, `out.${kind}`)];
    await writeFile(from, bytes);
    assert.equal(await unpack(from, to, { signal }), true);
    assert.deepEqual(await readFile(to), content, kind);
    await writeFile(from, bytes.subarray(0, bytes.length - 20));
    await assert.rejects(unpack(from, join(folder, 'broken'), { signal }), { code: 'corrupt' }, kind);
    await assert.rejects(readFile(join(folder, 'broken.part')), kind);
  }
  await writeFile(join(folder, 'plain'), content);
  assert.equal(await unpack(join(folder, 'plain'), join(folder, 'no'), { signal }), false);
});

test('of a checksum without a known key it is said what was checked and what was not', async () => {
  const server = createServer((_, response) => response.end(`${hex}  a.img\n`)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const lines: string[] = [];
    const source = { from: 'vendor', url: `${at}/SUMS`, algorithm: 'sha256', signature: null } as const;
    const checksum = await expectedChecksum(`${at}/a.img`, source, folder, {
      policy: anyAddress,
      signal,
      progress: () => {},
      log: (line) => lines.push(line),
    });
    assert.deepEqual(checksum, { algorithm: 'sha256', hex });
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /^Checked: the sha256 of a\.img, as read from http:\S+\/SUMS over plain HTTP/);
    assert.match(lines[0] ?? '', /Not checked: a signature of that sum; this publisher’s key is not known here\.$/);
  } finally {
    server.close();
  }
});

test('a signature is checked with a key that is here, refused when wrong, and said to be unchecked without the key', async () => {
  const { text, fingerprint, detached } = signed;
  const keyring = join(folder, 'vendor.asc');
  await writeFile(keyring, signed.publicKey);
  const signature = {
    url: 'https://vendor.example/SUMS.gpg',
    fingerprint,
    keyrings: [join(folder, 'absent.gpg'), keyring],
    keyringPackage: 'vendor-keyring',
  };
  const good = await checkSignature(Buffer.from(text), detached, signature, { folder, signal });
  assert.deepEqual([good.checked, good.text], [true, text]);

  const inline = await checkSignature(
    Buffer.concat([Buffer.from(`${other}  a.img\n`), Buffer.from(signed.clearSigned)]),
    null,
    { ...signature, url: 'inline' },
    { folder, signal },
  );
  assert.deepEqual([inline.checked, inline.text], [true, text], 'only what is signed is read');

  await assert.rejects(checkSignature(Buffer.from(`${other}  a.img\n`), detached, signature, { folder, signal }), { code: 'checksum' });
  await assert.rejects(checkSignature(Buffer.from(text), detached, { ...signature, fingerprint: 'A'.repeat(40) }, { folder, signal }), {
    code: 'checksum',
  });
  const unchecked = await checkSignature(Buffer.from(text), detached, { ...signature, keyrings: [] }, { folder, signal });
  assert.equal(unchecked.checked, false);
  assert.match(unchecked.note, /not checked.*vendor-keyring/);
});

test('every address of the catalog is https, and every name is once there', () => {
  const names = standardCatalog.map((item) => item.name);
  assert.equal(new Set(names).size, names.length);
  for (const item of standardCatalog) {
    if (item.via !== 'download') continue;
    for (const source of Object.values(item.arch)) {
      for (const url of [
        source.url,
        source.checksum.url,
        ...(source.signature && source.signature.url !== 'inline' ? [source.signature.url] : []),
      ])
        assert.match(url, /^https:\/\//, item.name);
      if (source.signature) assert.match(source.signature.fingerprint, /^[0-9A-F]{40}$/, item.name);
    }
  }
});
