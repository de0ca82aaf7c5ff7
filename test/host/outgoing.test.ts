// Where the daemon sends something because someone asked it to: nowhere that only this host can reach.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { outgoingPolicy, outgoingPolicyFrom, postJson } from '../../src/host/outgoing.ts';

const none = outgoingPolicy([]);

test('addresses that are not public are refused in every spelling', () => {
  for (const address of [
    ...['127.0.0.1', '127.9.9.9', '0.0.0.0', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254', '100.64.0.1'],
    ...['192.0.0.8', '198.18.0.1', '224.0.0.1', '255.255.255.255'],
    ...['::1', '::', 'fe80::1', 'fd00::1', 'fc00::1', 'ff02::1', '2001:db8::1', '2002:7f00:1::', '64:ff9b::7f00:1'],
    ...['::ffff:127.0.0.1', '::ffff:7f00:1', '0:0:0:0:0:ffff:10.0.0.1', '::127.0.0.1'],
    'not an address',
  ])
    assert.notEqual(none.refused(address), null, address);
});

test('public addresses are not', () => {
  for (const address of [
    '1.1.1.1',
    '172.15.0.1',
    '172.32.0.1',
    '192.169.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '2a00:1450::1',
    '::ffff:1.1.1.1',
  ])
    assert.equal(none.refused(address), null, address);
});

test('the host’s configuration allows others', () => {
  const policy = outgoingPolicyFrom({ VIV_OUTGOING_ALLOW: '10.1.0.0/16, 127.0.0.1,fd00::/8' });
  for (const address of ['10.1.2.3', '127.0.0.1', '::ffff:127.0.0.1', 'fd12::1']) assert.equal(policy.refused(address), null, address);
  for (const address of ['10.2.0.1', '127.0.0.2', 'fe80::1']) assert.notEqual(policy.refused(address), null, address);
  for (const text of ['localhost', '10.0.0.0/33', '10.0.0.0/', '::1/129', '/8'])
    assert.throws(() => outgoingPolicyFrom({ VIV_OUTGOING_ALLOW: text }), { code: 'invalid' }, text);
});

test('a literal address and a name that leads to one are refused before anything is sent', async () => {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1'])
      await assert.rejects(
        postJson(`http://${host}:${port}/`, '{}', { policy: none, timeoutMs: 5000 }),
        { code: 'forbidden', message: /VIV_OUTGOING_ALLOW/ },
        host,
      );
    assert.equal(asked, 0);
    const allowed = outgoingPolicy(['127.0.0.0/8']);
    assert.equal((await postJson(`http://127.0.0.1:${port}/`, '{}', { policy: allowed, timeoutMs: 5000 })).status, 200);
    assert.equal(asked, 1);
  } finally {
    server.close();
  }
});

test('a redirect is an answer, a receiver that hangs is a timeout, and a long answer is cut', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/redirect') response.writeHead(302, { location: 'http://169.254.169.254/' }).end('elsewhere');
    else if (request.url === '/long') response.end('x'.repeat(1_000_000));
    // anything else is never answered
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const policy = outgoingPolicy(['127.0.0.1']);
  try {
    assert.deepEqual(await postJson(`http://127.0.0.1:${port}/redirect`, '{}', { policy, timeoutMs: 5000 }), {
      status: 302,
      text: 'elsewhere',
    });
    assert.equal((await postJson(`http://127.0.0.1:${port}/long`, '{}', { policy, timeoutMs: 5000 })).text.length, 1024);
    await assert.rejects(postJson(`http://127.0.0.1:${port}/hang`, '{}', { policy, timeoutMs: 100 }), {
      code: 'timeout',
      message: /did not answer within 0.1 s/,
    });
    await assert.rejects(postJson(`http://127.0.0.1:1/`, '{}', { policy, timeoutMs: 5000 }), { code: 'unavailable' });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
