// The relay of forwards with real packets, built with sanitizers and as it is shipped (without them its filter is in force): a namespace that is the host, one with the networks and their rules, one that is a
// guest, one that is a stranger.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { FirewallModel } from '../../../src/network/firewall/model.ts';
import { rulesFor } from '../../../src/network/firewall/rules.ts';
import { returnRouteScript } from '../../../src/network/kernel/return-route.ts';
import { eventually } from '../../eventually.ts';
import { type Lab, makeLab, noLab, type Running } from '../firewall/lab.ts';
import { empty, group, network, port } from '../firewall/sample.ts';
import { buildForbidden, buildRelay } from './build-relay.ts';

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const host = { four: '192.168.77.1', six: 'fd77::1' };
const stranger = { four: '198.51.100.7', six: '2001:db8::7' };
const guest = { four: '10.30.0.9', six: 'fd30::9' };
const gateway = { four: '10.30.0.1', six: 'fd30::1' };

const model: FirewallModel = {
  ...empty,
  uplink: { interface: 'up', hostAddresses: [host.four, host.six] },
  networks: [network('inner', { subnets: ['10.30.0.0/24', 'fd30::/64'], gateways: [gateway.four, gateway.six] })],
  ports: [port('guest', { network: 'inner', mac: '52:54:00:00:03:09', addresses: [guest.four, guest.six] })],
};

for (const how of ['sanitized', 'shipped'] as const)
  describe(`the relay, ${how}`, { skip: noLab }, () => {
    let lab: Lab;
    let relay: string;
    let inside: Running;
    const running: Running[] = [];
    const clients = new Map<string, Running>();

    before(async () => {
      relay = buildRelay(how);
      lab = makeLab();
      lab.bridge('inner', [`${gateway.four}/24`, `${gateway.six}/64`]);
      lab.add('guest', 'guest', {
        mac: '52:54:00:00:03:09',
        addresses: [`${guest.four}/24`, `${guest.six}/64`],
        bridge: 'inner',
        gateways: [gateway.four, gateway.six],
      });
      lab.add('host', 'up', { mac: '52:54:00:00:03:01', addresses: [`${host.four}/24`, `${host.six}/64`] });
      lab.ip(null, ['addr add 192.168.77.2/24 dev up', 'addr add fd77::2/64 dev up nodad']);
      lab.ip(null, [`route add default via ${host.four}`, `route add ::/0 via ${host.six} dev up`]);
      lab.ip('host', [
        'link add e0 type veth peer name e1',
        'addr add 198.51.100.1/24 dev e0',
        'addr add 2001:db8::1/64 dev e0 nodad',
        'link set e0 up',
        'addr add 127.0.0.2/8 dev lo',
      ]);
      lab.ip(null, ['netns add stranger']);
      lab.ip('host', ['link set e1 netns stranger']);
      lab.ip('stranger', [
        'link set lo up',
        `addr add ${stranger.four}/24 dev e1`,
        `addr add ${stranger.six}/64 dev e1 nodad`,
        'link set e1 up',
        // as a forger would
        'addr add 10.30.0.77/32 dev lo',
        'route add 192.168.77.0/24 via 198.51.100.1',
      ]);
      lab.ok(null, ['sh', '-c', returnRouteScript, 'sh', 'ip']);
      lab.nft(rulesFor(model));
      inside = lab.start('guest', [process.execPath, file('guest.mjs'), '5000', '5004']);
      assert.equal(await inside.line(), 'ready');
      for (const where of ['host', 'stranger']) clients.set(where, lab.start(where, [process.execPath, file('client.mjs')]));
      await serve('tcp', '*', '8000-8004', '5000', 'client', guest.four, guest.six);
      await serve('udp', '*', '8000-8004', '5000', 'client', guest.four, guest.six);
      await serve('tcp', '*', '9000-9000', '5999', 'client', guest.four);
      await serve('tcp', '127.0.0.2', '7000-7000', '5000', 'gateway', guest.four);
      await serve('tcp', '*', '7001-7001', '5000', 'client', guest.four);
      await serve('udp', '*', '7001-7001', '5000', 'client', guest.six);
    });
    after(() => {
      for (const one of [...running, ...clients.values(), inside]) one?.stop();
      lab?.close();
    });

    async function serve(...words: string[]): Promise<Running> {
      const one = lab.start('host', [relay, 'serve', 'test', '1', 'nobody', 'nogroup', ...words]);
      assert.equal(await one.line(), 'ready');
      running.push(one);
      return one;
    }
    async function ask(where: 'host' | 'stranger', what: object): Promise<unknown> {
      const client = clients.get(where) as Running;
      client.write(`${JSON.stringify(what)}\n`);
      return JSON.parse(await client.line());
    }
    /** Long before the relay gives up, which is after 30 s. */
    async function soon<T>(outcome: Promise<T>): Promise<T> {
      const begun = performance.now();
      const came = await outcome;
      assert.ok(performance.now() - begun < 15_000, `it took ${performance.now() - begun} ms`);
      return came;
    }
    const who = (where: 'host' | 'stranger', to: string, number: number) => ask(where, { do: 'tcp', host: to, port: number, say: 'who\n' });
    const udp = (where: 'host' | 'stranger', to: string, number: number) =>
      ask(where, { do: 'udp', host: to, port: number, say: 'hello', waitMs: 30_000 });
    /** The same for what should not be answered: it is not waited for as long. */
    const silence = (where: 'host' | 'stranger', to: string, number: number, from?: string) =>
      ask(where, { do: 'udp', host: to, port: number, say: 'hello', waitMs: 1000, ...(from ? { from } : {}) });

    test('the guest sees who its client is, in TCP and UDP, IPv4 and IPv6, and every port of a range is its own', async () => {
      assert.equal(await who('stranger', '198.51.100.1', 8000), `5000 ${stranger.four}\n`);
      assert.equal(await who('stranger', '2001:db8::1', 8003), `5003 ${stranger.six}\n`);
      assert.equal(await udp('stranger', '198.51.100.1', 8004), `5004 ${stranger.four} hello`);
      assert.equal(await udp('stranger', '2001:db8::1', 8001), `5001 ${stranger.six} hello`);
      assert.equal(await who('host', '198.51.100.1', 8002), '5002 198.51.100.1\n');
    });

    test('a client on the host itself, or of another family than the target, comes from the gateway', async () => {
      assert.equal(await who('host', '127.0.0.1', 8000), `5000 ${gateway.four}\n`);
      assert.equal(await who('host', '::1', 8000), `5000 ${gateway.four}\n`);
      assert.equal(await udp('host', '127.0.0.1', 8002), `5002 ${gateway.four} hello`);
      assert.equal(await who('stranger', '2001:db8::1', 7001), `5000 ${gateway.four}\n`);
      assert.equal(await udp('stranger', '198.51.100.1', 7001), `5000 ${gateway.six} hello`);
    });

    test('an address that it is bound to is the only one', async () => {
      assert.equal(await who('host', '127.0.0.2', 7000), `5000 ${gateway.four}\n`);
      assert.equal(await who('host', '127.0.0.1', 7000), 'error ECONNREFUSED');
      assert.equal(await who('stranger', '198.51.100.1', 7000), 'error ECONNREFUSED');
    });

    test('much passes both ways and is what was sent; an end is passed on, and so is a break', async () => {
      assert.equal(await ask('stranger', { do: 'sum', host: '198.51.100.1', port: 8000, bytes: 50_000_000 }), true);
      assert.equal(await ask('stranger', { do: 'echo', host: '2001:db8::1', port: 8001, bytes: 20_000_000 }), true);
      assert.match(String(await ask('stranger', { do: 'half', host: '198.51.100.1', port: 8000 })), /^3 ba7816bf/);
      assert.equal(await ask('stranger', { do: 'tcp', host: '198.51.100.1', port: 8000, say: 'reset\n' }), 'error ECONNRESET');
      assert.equal(await who('stranger', '198.51.100.1', 9000), 'error ECONNRESET', 'nobody listens there in the guest');
    });

    test('two hundred are served at once', async () => {
      assert.equal(await ask('stranger', { do: 'many', host: '198.51.100.1', port: 8000, count: 200 }), 200);
    });

    test('with few descriptors clients wait for one another, and none is lost', async () => {
      for (const [protocol, at] of [
        ['tcp', '8300'],
        ['udp', '8300'],
      ] as const) {
        const words = [relay, 'serve', 'test', '1', 'nobody', 'nogroup', protocol, '*', `${at}-${at}`, '5000', 'client', guest.four];
        const one = lab.start('host', ['sh', '-c', 'ulimit -n 40; exec "$@"', 'sh', ...words]);
        assert.equal(await one.line(), 'ready');
        running.push(one);
      }
      assert.equal(await ask('stranger', { do: 'many', host: '198.51.100.1', port: 8300, count: 200 }), 200);
      for (let at = 0; at < 60; at++) assert.equal(await udp('stranger', '198.51.100.1', 8300), `5000 ${stranger.four} hello`);
    });

    test('the guest’s groups hold: by the client’s address, and by the gateway’s for one of the host', async () => {
      const rule = (cidr: string) => ({ direction: 'in', protocol: 'any', remote: { kind: 'cidr', cidr } }) as const;
      const only = (cidr: string) =>
        rulesFor({
          ...model,
          groups: [group('few', { rules: [rule(cidr)] })],
          ports: model.ports.map((each) => ({ ...each, groups: ['few'] })),
        });
      try {
        lab.nft(only('198.51.100.0/24'));
        assert.equal(await who('stranger', '198.51.100.1', 8000), `5000 ${stranger.four}\n`);
        assert.equal(await silence('host', '127.0.0.1', 8000), 'nothing');
        assert.equal(await soon(who('host', '127.0.0.1', 8000)), 'error ECONNRESET');
        assert.equal(await soon(who('stranger', '2001:db8::1', 8000)), 'error ECONNRESET');
        lab.nft(only('10.0.0.0/8'));
        assert.equal(await silence('stranger', '198.51.100.1', 8000), 'nothing');
        assert.equal(await soon(who('stranger', '198.51.100.1', 8000)), 'error ECONNRESET');
        assert.equal(await who('host', '127.0.0.1', 8000), `5000 ${gateway.four}\n`);
        // The gateway's other address may come in, but that is no way for whom the groups refuse.
        lab.nft(only(`${gateway.six}/128`));
        assert.equal(await soon(who('stranger', '198.51.100.1', 8000)), 'error ECONNRESET');
        assert.equal(await soon(who('host', '127.0.0.1', 8000)), 'error ECONNRESET');
      } finally {
        lab.nft(rulesFor(model));
      }
    });

    test('a stranger with a VM’s address in a datagram is not taken for it', async () => {
      // The host would answer it, were the rules not there.
      lab.ip('host', ['route add 10.30.0.77/32 via 198.51.100.7']);
      assert.equal(await silence('stranger', '198.51.100.1', 8000, '10.30.0.77'), 'nothing');
      assert.equal(await udp('stranger', '198.51.100.1', 8000), `5000 ${stranger.four} hello`);
    });

    test('a port that cannot be opened is reported, and the exit code has the reason', () => {
      const tried = (where: string, ...words: string[]) => lab.run(where, [relay, 'try', ...words]);
      assert.deepEqual([tried('host', 'tcp', '*', '20000-20999').status, tried('host', 'udp', '127.0.0.1', '53-53').status], [0, 0]);
      const taken = tried('host', 'tcp', '127.0.0.1', '7999-8001');
      assert.equal(taken.status, 98);
      assert.match(taken.stderr, /port 8000 of 127\.0\.0\.1: Address already in use/);
      assert.equal(tried('host', 'udp', '192.0.2.77', '8000-8000').status, 99);
      for (const words of [
        ['tcp', '*', '0-1'],
        ['tcp', '*', '9-8'],
        ['tcp', '*', '1-1001'],
        ['sctp', '*', '1-2'],
        ['tcp', 'x', '1-2'],
      ])
        assert.equal(tried('host', ...words).status, 125, words.join(' '));
    });

    test('the relay has no capability, its socket broker has one, and both run as nobody', () => {
      const statusOf = (name: string) => {
        const [pid] = lab.ok(null, ['pgrep', name]).split('\n');
        return lab.ok(null, ['cat', `/proc/${pid}/status`]);
      };
      for (const [name, rights] of [
        ['vivarium-port-f', '0000000000000000'],
        ['viv-sockets', '0000000000001000'],
      ] as const) {
        const status = statusOf(name);
        for (const kind of ['CapEff', 'CapPrm']) assert.match(status, new RegExp(`${kind}:\\s+${rights}`), name);
        for (const line of [/CapInh:\s+0000000000000000/, /CapAmb:\s+0000000000000000/, /CapBnd:\s+0000000000000000/])
          assert.match(status, line, name);
        for (const line of [/NoNewPrivs:\s+1/, /Seccomp:\s+2/, /Uid:\s+65534/]) assert.match(status, line, name);
      }
    });

    test('the socket broker has none of the ports, and it and the relay end together', async () => {
      const ended = (pid: string) =>
        eventually(`process ${pid} ends`, () => lab.run(null, ['grep', '-q', '^State:.[^ZX]', `/proc/${pid}/status`]).status !== 0);
      const brokerOf = (pid: string) => lab.ok(null, ['pgrep', '-P', pid]).trim();
      const started = async (port: string) => {
        await serve('tcp', '*', port, '5000', 'client', guest.four);
        return lab.ok(null, ['pgrep', '-n', 'vivarium-port-f']).trim();
      };
      const first = await started('8100-8100');
      const broker = brokerOf(first);
      assert.equal(lab.ok(null, ['cat', `/proc/${broker}/cmdline`]).replaceAll('\0', ''), '');
      lab.ok(null, ['kill', '-9', first]);
      await ended(broker);
      const second = await started('8100-8100');
      lab.ok(null, ['kill', '-9', brokerOf(second)]);
      assert.match(String(await soon(who('host', '127.0.0.1', 8100))), /^error |^$/);
      await ended(second);
    });
  });

test('what relaying does not take ends it', () => {
  const asker = buildForbidden();
  const outcome = (who: string, what: string) => spawnSync(asker, [who, what]).signal;
  const never = ['open', 'exec', 'fork', 'netlink', 'raw', 'packet', 'icmp', 'option', 'ioctl', 'code'];
  for (const what of ['nothing', 'nodelay', 'connect']) assert.equal(outcome('relay', what), null, what);
  for (const what of [...never, 'tcp', 'mark', 'transparent']) assert.equal(outcome('relay', what), 'SIGSYS', what);
  for (const what of ['nothing', 'tcp', 'mark', 'transparent']) assert.equal(outcome('broker', what), null, what);
  for (const what of [...never, 'nodelay', 'connect']) assert.equal(outcome('broker', what), 'SIGSYS', what);
});
