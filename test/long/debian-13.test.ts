// Debian 13 builds, boots, is set up and stops; what is not particular to a release is in debian.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { havePulled, longHost } from './long-host.ts';

test('Debian 13 is built and boots: the agent answers, systemd runs with no failed unit, it stops when it is asked', async () => {
  await using host = await longHost();
  await havePulled(host, 'debian:13');
  const userData = '#cloud-config\nruncmd:\n  - [sh, -c, "echo ran >/root/ran"]\n';
  const vm = await host.client.run('debian:13', { name: 'deb', cpus: 2, users: ['ada'], userData });
  const sh = async (script: string) => {
    const { stdout, stderr, exitCode } = await vm.exec(['sh', '-c', script], { timeoutMs: 600_000, waitMs: 600_000 });
    assert.equal(exitCode, 0, `${script}: ${stdout.slice(-400)}${stderr.slice(-800)}`);
    return stdout.trim();
  };
  assert.match(await sh('cat /etc/debian_version'), /^13\./);
  assert.match(await sh('cloud-init status --wait'), /status: done$/);
  assert.equal(await sh('systemctl is-system-running --wait || systemctl --failed --no-legend'), 'running');
  assert.equal(await sh('cat /root/ran; hostname; id -un ada'), 'ran\ndeb\nada');
  assert.equal((await vm.refresh()).info.agent.kind, 'vivarium');
  await vm.stop({ timeoutMs: 120_000 });
  let log = '';
  for await (const bytes of vm.logs({ tailBytes: 16_384 })) log += bytes;
  assert.match(log, /Power down/i, 'it has ended by itself');
});
