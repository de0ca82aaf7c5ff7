// Quiesced snapshots of every image that Vivarium builds: the file systems are frozen, and a VM that boots from them replays no journal.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestHost } from '../daemon/test-host.ts';
import { out } from '../guest/in-guest.ts';
import { havePulled, longHost } from './long-host.ts';

/** Debian takes half a minute under emulation, and many times that on a busy host. */
const agentTimeoutMs = 600_000;

let host: TestHost;

before(async () => {
  host = await longHost();
});

after(() => host[Symbol.asyncDispose]());

/** What ext4 prints where its journal was not clean. */
const recovery = 'dmesg | grep -ciE "recovery (required|complete)|recovering journal" || true';

for (const image of ['tiny', 'debian:12', 'debian:13'])
  test(`${image} is quiesced, and boots from the snapshot without a recovery`, { timeout: 1_500_000 }, async () => {
    await havePulled(host, image);
    const name = image.replace(':', '-');
    const vm = await host.client.run(image, { name });
    await vm.wait({ for: 'agent', timeoutMs: agentTimeoutMs });
    // It goes on writing, so that its journal is never empty by chance.
    await out(vm, 'nohup sh -c "while :; do date >> /root/busy; sync; done" >/dev/null 2>&1 &');
    const quiet = await vm.snapshot('quiet', { disksOnly: true, quiesce: true });
    assert.ok(quiet.frozenFileSystems?.includes('/'), String(quiet.frozenFileSystems));
    const [clone] = await vm.fork({ snapshot: 'quiet', name: `${name}-quiet` });
    assert.ok(clone);
    await clone.start();
    await clone.wait({ for: 'agent', timeoutMs: agentTimeoutMs });
    assert.equal((await out(clone, recovery)).trim(), '0');
    await clone.remove({ force: true });

    // A snapshot with memory is taken while the file systems are frozen: a fork thaws them immediately.
    await vm.snapshot('with-memory', { quiesce: true });
    const [fork] = await vm.fork({ snapshot: 'with-memory', name: `${name}-fork` });
    assert.ok(fork);
    assert.equal((await out(fork, 'date > /root/written && sync && echo written')).trim(), 'written');
    await fork.remove({ force: true });
    await vm.remove({ force: true });
  });
