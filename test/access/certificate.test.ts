// The host's certificate: clients that trust its authority connect by TLS 1.3, and a renewal changes nothing for them.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { staleness } from '../../src/access/certificate/authority.ts';
import {
  certificateFiles,
  ownCertificate,
  type ServedCertificate,
  watchCertificate,
} from '../../src/access/certificate/server-certificate.ts';
import { withFolder } from './open.ts';

const day = 24 * 3_600_000;

/** What a client that trusts only `ca` sees. */
async function handshake({ chain, key }: ServedCertificate, ca: string, host = '127.0.0.1'): Promise<string | null> {
  const server = createServer({ cert: chain, key, minVersion: 'TLSv1.3' }, (socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  try {
    return await new Promise((resolve, reject) => {
      const socket = connect({ host, port, ca }, () => {
        resolve(socket.getProtocol());
        socket.destroy();
      });
      socket.once('error', reject);
    });
  } finally {
    server.close();
  }
}

const caOf = (chain: string) => chain.slice(chain.lastIndexOf('-----BEGIN'));

test('a client that trusts the authority connects by name and address, before and after a renewal', () =>
  withFolder(async (folder) => {
    let now = Date.now();
    const source = ownCertificate(join(folder, 'tls'), ['vivarium.example'], () => now);
    const first = await source.current();
    const ca = caOf(first.chain);
    assert.equal(new X509Certificate(ca).ca, true);
    assert.equal(first.fingerprint, new X509Certificate(ca).fingerprint256);
    assert.equal(await handshake(first, ca), 'TLSv1.3');
    assert.equal(new X509Certificate(first.chain).checkHost('vivarium.example'), 'vivarium.example');
    assert.deepEqual(await source.current(), first, 'it is kept');
    now += 59 * day;
    assert.deepEqual(await source.current(), first, 'it serves for 60 days');
    now += 2 * day;
    const renewed = await source.current();
    assert.notEqual(renewed.chain, first.chain);
    assert.equal(renewed.fingerprint, first.fingerprint);
    assert.equal(caOf(renewed.chain), ca);
    assert.equal(new X509Certificate(renewed.chain).verify(new X509Certificate(ca).publicKey), true);
    for (const key of ['ca.key', 'server.key']) assert.equal((await stat(join(folder, 'tls', key))).mode & 0o777, 0o600);
  }));

test('a certificate of another authority is not trusted', () =>
  withFolder(async (folder) => {
    const one = await ownCertificate(join(folder, 'one'), [], Date.now).current();
    const other = await ownCertificate(join(folder, 'other'), [], Date.now).current();
    await assert.rejects(handshake(one, caOf(other.chain)), /certificate/i);
  }));

test('a name that the host got meanwhile makes a certificate stale', () =>
  withFolder(async (folder) => {
    const { chain } = await ownCertificate(folder, ['a.example'], Date.now).current();
    const now = Date.now();
    assert.equal(staleness(chain, caOf(chain), ['a.example'], now), null);
    assert.equal(staleness(chain, caOf(chain), ['b.example'], now), 'it lacks b.example');
    assert.equal(staleness('rubbish', caOf(chain), [], now), 'it cannot be read');
  }));

test('certificate files are read again when they change; rubbish in them is reported and the last one stays', () =>
  withFolder(async (folder) => {
    const [one, other] = await Promise.all(['one', 'other'].map((name) => ownCertificate(join(folder, name), [], Date.now).current()));
    assert.ok(one && other);
    const files = { certificate: join(folder, 'server.crt'), key: join(folder, 'server.key') };
    const put = async ({ chain, key }: ServedCertificate) => {
      await writeFile(files.certificate, chain);
      await writeFile(files.key, key);
    };
    await put(one);
    const source = certificateFiles(files.certificate, files.key);
    const served: string[] = [];
    const problems: unknown[] = [];
    let due = () => {};
    const clock = {
      now: Date.now,
      after: (_ms: number, act: () => void) => {
        due = act;
        return () => {};
      },
    };
    const watch = watchCertificate(
      source,
      await source.current(),
      clock,
      ({ chain }) => served.push(chain),
      (error) => problems.push(error),
    );
    due();
    await watch.look();
    assert.deepEqual(served, []);
    await put(other);
    await watch.look();
    assert.deepEqual(served, [other.chain]);
    await writeFile(files.certificate, 'rubbish');
    await watch.look();
    assert.equal(problems.length, 1);
    assert.equal(served.length, 1);
    watch.stop();
    await assert.rejects(certificateFiles(join(folder, 'none'), files.key).current(), /there is no certificate in/);
    assert.ok((await readFile(files.key, 'utf8')).includes('PRIVATE KEY'));
  }));
