// Forwards to a real guest: its web server is reached through the host's addresses, by root's daemon and by an ordinary user's, while the daemon is
// dead as well. The host is a namespace of the test's own, and the outside another one (test/network/world.ts).
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { networkProcesses, type TestHost, testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { hostAddress, makeWorld, noWorld, outsideAddress, type World } from '../network/world.ts';
import { out } from './in-guest.ts';

/** An id that no account has. */
const someone = '1234567';

/** A client: its arguments are what it asks and how long it waits. */
const asking = `const [url, ms] = process.argv.slice(1); require("http").get(url, { timeout: +ms }, (answer) => answer.pipe(process.stdout)).on("timeout", () => process.exit(1));`;

for (const user of [null, someone]) {
  describe(user === null ? 'forwards of root' : 'forwards of an ordinary user', { skip: noWorld }, () => {
    let world: World;
    let host: TestHost;

    before(async () => {
      world = await makeWorld();
      const env = { ...world.env, VIV_DEFAULT_NETWORK: 'default' };
      host = await testHost({ qemu: 'real', env: user === null ? env : { ...env, VIV_TEST_USER: user, VIV_IMAGES: '' } });
      if (user !== null) await copyTiny(process.env['VIV_IMAGES'] ?? '', host.paths.images);
      await host.start();
      const vm = await host.client.run('tiny', {
        name: 'web',
        memoryBytes: 128 * 2 ** 20,
        forwards: ['8080:80', '[::1]:8081-8082:80'],
      });
      await out(
        vm,
        'mkdir /www; echo hello >/www/index.html; httpd -f -v -p 80 -h /www 2>/run/log & for i in $(seq 600); do ip address show eth0 | grep -q "inet " && ip -6 address show eth0 scope global | grep -q inet6 && exit 0; sleep 0.1; done; exit 1',
      );
    });
    after(async () => {
      await host?.[Symbol.asyncDispose]();
      await world?.[Symbol.asyncDispose]();
    });

    const get = (where: 'host' | 'outside', at: string, ms = 60_000) =>
      world.run(where, `'${process.execPath}' -e '${asking}' 'http://${at}/' ${ms}`).trim();
    const log = async () => out(await host.client.vm('web'), 'cat /run/log');

    /** Pids of the programs of this name that are where the networks are. */
    async function runningInside(program: string): Promise<string[]> {
      const { namespace } = JSON.parse(await readFile(`${host.paths.network}/holder.json`, 'utf8')) as { namespace: string };
      const there = async (pid: string) =>
        (await readlink(`/proc/${pid}/ns/net`)) === namespace &&
        (await readFile(`/proc/${pid}/comm`, 'utf8')).trim() === program.slice(0, 15);
      const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
      const found = await Promise.all(pids.map((pid) => there(pid).catch(() => false)));
      return pids.filter((_, at) => found[at]);
    }

    test('what its NIC may receive is what it receives: next to nothing is sent twice', async () => {
      const bytes = 4 * 2 ** 20;
      world.start('outside', [
        process.execPath,
        '-e',
        `require("http").createServer((_, answer) => answer.end(Buffer.alloc(${bytes}))).listen(8099)`,
      ]);
      await eventually('it listens', () => /:8099 /.test(world.run('outside', 'ss -Hltn')));
      const { network } = host.client;
      await host.client.nic.set({ vm: 'web', nic: 'net0', rateIn: '16Mbit' });
      const received = async () => (await network.show({ network: 'default' })).nics[0]?.toGuest?.bytes ?? 0;
      const before = await received();
      const vm = await host.client.vm('web');
      assert.equal(await out(vm, `wget -q -O - http://${outsideAddress}:8099/ | wc -c`), String(bytes));
      const much = ((await received()) - before) / bytes;
      assert.ok(much > 1 && much < 1.5, `${much.toFixed(2)} times as much as it asked for`);
      await host.client.nic.set({ vm: 'web', nic: 'net0', rateIn: 'none' });
    });

    test('its web server answers at every address of the host, and sees who asks', async () => {
      for (const at of ['127.0.0.1:8080', `${hostAddress}:8080`, '[2001:db8:1::9]:8080', '[::1]:8081'])
        assert.equal(get('host', at), 'hello', at);
      assert.equal(get('outside', `${hostAddress}:8080`), 'hello');
      assert.equal(get('outside', '[2001:db8:1::9]:8080'), 'hello');
      for (const at of [`${hostAddress}:8080`, '[2001:db8:1::9]:8080'])
        assert.equal(world.run('outside', `curl --silent --globoff --max-time 60 'http://${at}/'`).trim(), 'hello', at);
      const told = await log();
      for (const client of ['192.0.2.1', '2001:db8:1::1', hostAddress]) assert.ok(told.includes(`${client}]:`), `${client} in ${told}`);
      assert.throws(() => get('outside', '[2001:db8:1::9]:8081'));
    });

    test('the NIC’s groups hold for what comes by a forward', async () => {
      await host.client.securityGroup.create({ securityGroup: 'few', rules: ['in tcp 80 from 192.0.2.1'] });
      await host.client.nic.set({ vm: 'web', nic: 'net0', securityGroups: ['few'] });
      assert.equal(get('outside', `${hostAddress}:8080`), 'hello');
      const begun = performance.now();
      assert.throws(() => get('host', `${hostAddress}:8080`, 25_000), /ECONNRESET|socket hang up/);
      assert.ok(performance.now() - begun < 15_000, 'it is told long before the relay gives up');
      await host.client.nic.set({ vm: 'web', nic: 'net0', securityGroups: [] });
      assert.equal(get('host', `${hostAddress}:8080`), 'hello');
    });

    test('an ordinary user’s traffic is limited, captured, logged and dropped too', async () => {
      const { network, flow } = host.client;
      const nic = { vm: 'web', nic: 'net0' };
      const web = await host.client.vm('web');
      const stream = await network.capture({ network: 'default', vm: 'web', filter: 'icmp', packets: 2 });
      const gateway = (await network.show({ network: 'default' })).gateways[0] ?? '';
      const asked = out(web, `ping -4 -c3 -i 0.2 ${gateway}`);
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      await asked;
      assert.equal(Buffer.concat(chunks).readUInt32LE(0), 0xa1b2c3d4, 'the magic number of pcap');
      await host.client.nic.set({ ...nic, rateIn: '8Mbit', rateOut: '8Mbit' });
      await host.client.nic.set({ ...nic, egress: ['none'] });
      await web.exec(['ping', '-c1', '-W1', outsideAddress]);
      const refused = async () => (await flow.list({ vm: 'web', dropped: true })).find(({ verdict }) => verdict === 'drop egress');
      await eventually('the flow log tells what was refused', async () => (await refused())?.target === outsideAddress);
      const [shown] = (await network.show({ network: 'default' })).nics;
      assert.ok((shown?.dropped?.out ?? 0) > 0 && (shown?.toGuest?.packets ?? 0) > 0, JSON.stringify(shown));
      await host.client.nic.set({ ...nic, egress: ['all'] });
      await host.client.nic.set({ ...nic, rateIn: 'none', rateOut: 'none' });
      assert.equal(get('host', '127.0.0.1:8080'), 'hello');
    });

    test('what reads outsiders’ bytes may do next to nothing', async () => {
      const { network } = host.client;
      const stream = await network.capture({ network: 'default' });
      const look = () => Promise.all(['vivarium-port-forward', 'viv-sockets', 'vivarium-net-tap'].map(runningInside));
      // A capture of before may be about to end.
      await eventually('two forwards, who makes their sockets; the flow log and a capture', async () =>
        assert.deepEqual(
          (await look()).map(({ length }) => length),
          [2, 2, 2],
        ),
      );
      const none = '0000000000000000';
      // One that is just beginning has not given up its rights yet.
      await eventually('each has what it needs and no more', async () => {
        const [relays = [], makers = [], copying = []] = await look();
        for (const [pids, rights] of [
          [relays, none],
          [makers, '0000000000001000'],
          [copying, none],
        ] as const)
          for (const pid of pids) {
            const status = await readFile(`/proc/${pid}/status`, 'utf8');
            for (const line of [`CapEff:\t${rights}`, `CapPrm:\t${rights}`, `CapBnd:\t${none}`, 'NoNewPrivs:\t1', 'Seccomp:\t2'])
              assert.ok(status.includes(`\n${line}\n`), `${line} in ${status}`);
          }
      });
      stream.destroy();
    });

    test('the daemon dies, and it answers on; the next daemon leaves everything as it is', async () => {
      const relays = async () => (await networkProcesses(host.paths.network)).sort();
      const before = await relays();
      await host.kill();
      assert.equal(get('outside', `${hostAddress}:8080`), 'hello');
      await host.start();
      await eventually('all of them are open', async () => (await host.client.forward.list({})).every(({ state }) => state === 'open'));
      assert.deepEqual(await relays(), before);
      assert.equal(get('host', '127.0.0.1:8080'), 'hello');
    });

    test('a privileged port is refused with the reason', {
      skip: user === null && 'root may have every port',
    }, async () => {
      world.run('host', 'echo 1000 >/proc/sys/net/ipv4/ip_unprivileged_port_start');
      const error = await host.client.forward.add({ vm: 'web', forwards: ['80'] }).catch((failure: Error) => failure);
      assert.match(String((error as Error).message), /below 1000\. .*sysctl net\.ipv4\.ip_unprivileged_port_start=80/);
    });

    test('it is closed with the VM', async () => {
      await host.client.vm.remove({ vm: 'web', force: true });
      assert.throws(() => get('host', '127.0.0.1:8080'));
      await host.down();
      assert.deepEqual(await networkProcesses(host.paths.network), []);
    });
  });
}

/** Where the user can read it. */
async function copyTiny(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from)) {
    const { names } = JSON.parse(await readFile(join(from, name, 'image.json'), 'utf8')) as { names: string[] };
    if (names.includes('tiny')) await cp(join(from, name), join(to, name), { recursive: true });
  }
}
