// Forwarding the audit log: what collectors receive, and what happens while they are away.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { AuditForwards } from '../../src/access/audit/forward/forwards.ts';
import { AuditLog } from '../../src/access/audit/log.ts';
import { ownCertificate } from '../../src/access/certificate/server-certificate.ts';
import { parseCollector } from '../../src/contract/audit-collector.ts';
import { systemClock } from '../../src/host/clock.ts';
import { outgoingPolicy } from '../../src/host/outgoing.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { eventually } from '../eventually.ts';
import { silent, withFolder } from './open.ts';

const entry = (operation: string, outcome: 'done' | 'refused' = 'done') => ({
  actor: { user: 'u1', name: 'an"a]\n', via: 'session' as const, session: 's', token: null, from: '192.0.2.1' },
  ...{ operation, outcome, objects: [], error: null, task: null },
});
/** No pause between attempts. */
const impatient = { now: Date.now, after: (_ms: number, act: () => void) => systemClock.after(5, act) };

interface World {
  readonly folder: string;
  readonly audit: AuditLog;
  open(): Promise<AuditForwards>;
  readonly add: (forwards: AuditForwards, url: string, more?: object) => Promise<unknown>;
}

async function withLog(act: (world: World) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const store: Store = await openSqliteStore(join(folder, 'state.db'));
    const audit = await AuditLog.open({ store, log: silent, folder: join(folder, 'audit'), now: Date.now });
    const opened: AuditForwards[] = [];
    try {
      await act({
        ...{ folder, audit },
        open: async () => {
          const forwards = await AuditForwards.open({ store, audit, clock: impatient, log: silent, policy: outgoingPolicy([]) });
          opened.push(forwards);
          await forwards.begin();
          return forwards;
        },
        add: (forwards, url, more = {}) =>
          forwards.add({ name: 'siem', url, token: null, ca: null, anywhere: true, onlyNew: false, ...more }, (transaction) =>
            store.commit(transaction),
          ),
      });
    } finally {
      for (const forwards of opened) await forwards.stop();
      await audit.close();
      await store.close();
    }
  });
}

/** A syslog server that keeps what it is sent, by octet counting. */
function syslogServer(server: Server): { readonly messages: string[]; cut(): void } {
  const messages: string[] = [];
  const sockets = new Set<Socket>();
  const taken = (socket: Socket) => {
    sockets.add(socket);
    let rest = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      for (;;) {
        const space = rest.indexOf(32);
        const length = Number(rest.subarray(0, Math.max(0, space)).toString());
        if (space < 1 || rest.length < space + 1 + length) return;
        messages.push(rest.subarray(space + 1, space + 1 + length).toString('utf8'));
        rest = rest.subarray(space + 1 + length);
      }
    });
  };
  server.on('connection', (socket: Socket) => void (server.listenerCount('secureConnection') === 0 && taken(socket)));
  return {
    messages,
    cut() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

async function listening(server: Server, at: number | string = 0): Promise<number> {
  if (typeof at === 'string') server.listen(at);
  else server.listen(at, '127.0.0.1');
  await once(server, 'listening');
  return typeof at === 'string' ? 0 : (server.address() as AddressInfo).port;
}

const sequences = (messages: readonly string[]) => messages.map((message) => Number(/sequence="(\d+)"/.exec(message)?.[1]));

test('syslog receives each record once, in order, in the form of RFC 5424, and what waited while it was away', async () => {
  await withLog(async ({ audit, open, add, folder }) => {
    const path = join(folder, 'log');
    const first = createServer();
    const received = syslogServer(first);
    await listening(first, path);
    const forwards = await open();
    await audit.record(entry('vm.start'), entry('vm.stop', 'refused'));
    await add(forwards, `unix:${path}`);
    await eventually('two records arrive', () => received.messages.length === 2);
    const [start = '', stop = ''] = received.messages;
    assert.match(
      start,
      /^<109>1 \d{4}-\d\d-\d\dT[\d:.]+Z \S+ vivarium \d+ vm\.start \[audit@32473 sequence="1" operation="vm\.start" outcome="done" actor="an\\"a\\]\n" /,
    );
    assert.match(stop, /^<108>1 .* outcome="refused"/);
    assert.equal(JSON.parse(start.slice(start.indexOf('\ufeff') + 1)).operation, 'vm.start');
    received.cut();
    await once(first, 'close');
    await audit.record(entry('vm.reset'));
    await eventually('it says that the collector is away', () => forwards.list()[0]?.problem !== null);
    assert.equal(forwards.list()[0]?.behind, 1);
    await forwards.stop();
    // Another daemon, and the collector is there again.
    const second = createServer();
    const again = syslogServer(second);
    await listening(second, path);
    const later = await open();
    await audit.record(entry('vm.pause'));
    await eventually('what waited arrives', () => again.messages.length === 2);
    assert.deepEqual(sequences(again.messages), [3, 4]);
    await eventually('nothing waits', () => later.list()[0]?.behind === 0 && later.list()[0]?.problem === null);
    assert.equal(later.list()[0]?.lost, 0);
    again.cut();
  });
});

test('syslog over TLS is sent to a server with a certificate of the authority given, and to no other', async () => {
  await withLog(async ({ audit, open, add, folder }) => {
    const { chain, key } = await ownCertificate(join(folder, 'tls'), ['127.0.0.1'], Date.now).current();
    const messages: string[] = [];
    const server = createTlsServer({ cert: chain, key }, (socket) =>
      socket.on('error', () => {}).on('data', (bytes) => messages.push(bytes.toString())),
    );
    server.on('tlsClientError', () => {});
    const port = await listening(server);
    try {
      await audit.record(entry('vm.start'));
      const forwards = await open();
      await add(forwards, `syslogs://127.0.0.1:${port}`, { name: 'wrong' });
      await eventually('it is refused', () => forwards.list()[0]?.problem !== null);
      assert.deepEqual(messages, []);
      const ca = chain.slice(chain.lastIndexOf('-----BEGIN CERTIFICATE-----'));
      await add(forwards, `syslogs://127.0.0.1:${port}`, { name: 'right', ca });
      await eventually('it arrives', () => messages.join('').includes('vm.start'));
      await forwards.remove('wrong', async () => ({ revision: 0 })).catch(() => {});
      await forwards.stop();
    } finally {
      server.close();
    }
  });
});

test('an HTTP collector receives HEC events with its token, again when it has refused them', async () => {
  await withLog(async ({ audit, open, add }) => {
    const bodies: { text: string; authorization: string | undefined }[] = [];
    let failures = 2;
    const server = createHttpServer((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        if (failures-- > 0) return void response.writeHead(503).end('busy');
        bodies.push({ text, authorization: request.headers.authorization });
        response.end('{"text":"Success","code":0}');
      });
    });
    const port = await listening(server);
    try {
      await audit.record(entry('vm.start'), entry('vm.stop'));
      const forwards = await open();
      await add(forwards, `http://127.0.0.1:${port}/services/collector/event`, { token: 'secret-token' });
      await eventually('it arrives', () => bodies.length === 1);
      assert.equal(bodies[0]?.authorization, 'Splunk secret-token');
      const events = (bodies[0]?.text ?? '')
        .replaceAll('}{', '}\n{')
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.deepEqual(
        events.map(({ event, sourcetype }) => [event.operation, sourcetype]),
        [
          ['vm.start', 'vivarium:audit'],
          ['vm.stop', 'vivarium:audit'],
        ],
      );
      assert.ok(!JSON.stringify(forwards.list()).includes('secret-token'), 'a token is not shown');
    } finally {
      server.close();
    }
  });
});

test('a collector at a private address is not connected to, unless the host’s owner or the configuration says so', async () => {
  await withLog(async ({ audit, open, add }) => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    const port = await listening(server);
    try {
      await audit.record(entry('vm.start'));
      const forwards = await open();
      await add(forwards, `syslog://127.0.0.1:${port}`, { name: 'tcp', anywhere: false });
      await add(forwards, `http://localhost:${port}/x`, { name: 'http', anywhere: false, token: 't' });
      await eventually('both say why', () => forwards.list().every(({ problem }) => /loopback|not public/.test(problem ?? '')));
      assert.equal(connections, 0);
    } finally {
      server.close();
    }
  });
});

test('collectors are written as URLs', () => {
  assert.deepEqual(parseCollector('syslog://logs.example'), { kind: 'syslog', transport: 'tcp', host: 'logs.example', port: 514 });
  assert.deepEqual(parseCollector('syslogs://[2001:db8::1]:80'), { kind: 'syslog', transport: 'tls', host: '2001:db8::1', port: 80 });
  assert.deepEqual(parseCollector('unix:/dev/log'), { kind: 'syslog', transport: 'unix', path: '/dev/log' });
  for (const wrong of ['', 'logs.example', 'unix:log', 'https://a:b@logs.example', 'syslog://logs.example/x', 'ftp://x', 'syslog://'])
    assert.throws(() => parseCollector(wrong), { code: 'invalid' }, wrong);
});
