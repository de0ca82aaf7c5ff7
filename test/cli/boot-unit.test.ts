// The unit of systemd that starts the daemon with the host: what it says, for whom, and that no path can say anything else in it.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { bootUnit } from '../../src/cli/boot-unit.ts';
import { stateDirectoryTakenExitCode } from '../../src/contract/ending.ts';
import { fakeServer } from './fake-server.ts';
import { viv } from './run-viv.ts';

const command = ['/opt/node/bin/node', '--max-semi-space-size=2', '/opt/viv/daemon.js'];

test('root’s is the system’s, and VMs survive its end', () => {
  const { name, file, text } = bootUnit({ env: { HOME: '/root', PATH: '/bin' }, uid: 0, stateDirectory: '/var/lib/vivarium', command });
  assert.equal(name, 'vivarium.service');
  assert.equal(file, '/etc/systemd/system/vivarium.service');
  const lines = text.split('\n');
  for (const line of [
    'ExecStart="/opt/node/bin/node" "--max-semi-space-size=2" "/opt/viv/daemon.js"',
    'RequiresMountsFor="/var/lib/vivarium"',
    'Type=exec',
    'KillMode=process',
    'OOMPolicy=continue',
    `RestartPreventExitStatus=${stateDirectoryTakenExitCode}`,
    'WantedBy=multi-user.target',
  ])
    assert.ok(lines.includes(line), line);
  assert.doesNotMatch(text, /^Environment=/m, 'what the daemon does not ask for stays out');
});

test('a user’s is the user’s own, and is told what the daemon asks its environment for', () => {
  const env = {
    HOME: '/home/ana',
    XDG_STATE_HOME: '/s',
    VIV_MIRROR: 'http://mirror/debian',
    VIV_DEBUG: '1',
    https_proxy: 'http://proxy:3128',
    AWS_SECRET: 'x',
    VIV_IMAGES: '',
  };
  const { file, text } = bootUnit({ env, uid: 1000, stateDirectory: '/s/vivarium', command });
  assert.equal(file, '/home/ana/.config/systemd/user/vivarium.service');
  assert.match(text, /^WantedBy=default\.target$/m);
  assert.deepEqual(text.match(/^Environment=.*$/gm), [
    'Environment="XDG_STATE_HOME=/s"',
    'Environment="VIV_MIRROR=http://mirror/debian"',
    'Environment="https_proxy=http://proxy:3128"',
  ]);
});

test('each VIV_HOME has a unit of its own, with its absolute path', () => {
  const unit = (stateDirectory: string) => bootUnit({ env: { HOME: '/root', VIV_HOME: 'somewhere' }, uid: 0, stateDirectory, command });
  assert.match(unit('/a/somewhere').name, /^vivarium-[0-9a-f]{8}\.service$/);
  assert.notEqual(unit('/a/somewhere').name, unit('/b/somewhere').name);
  assert.match(unit('/a/somewhere').text, /^Environment="VIV_HOME=\/a\/somewhere"$/m);
});

test('quotes, percent signs, dollars and line ends in paths stay what they are', () => {
  const stateDirectory = '/a "b"\\c %h $HOME\nExecStartPre=/bin/evil';
  const { text } = bootUnit({
    env: { HOME: '/root', VIV_HOME: stateDirectory },
    uid: 0,
    stateDirectory,
    command: ['/n', `${stateDirectory}.js`],
  });
  assert.match(text, /^Environment="VIV_HOME=\/a \\"b\\"\\\\c %%h \$HOME\\nExecStartPre=\/bin\/evil"$/m);
  assert.match(text, /^ExecStart="\/n" "\/a \\"b\\"\\\\c %%h \$\$HOME\\nExecStartPre=\/bin\/evil\.js"$/m);
  assert.doesNotMatch(text, /^ExecStartPre/m);
});

test('without systemd --at-boot yes says so and changes nothing; no is as it was', {
  skip: existsSync('/run/systemd/system'),
}, async () => {
  await using server = await fakeServer();
  const { code, stderr } = await viv(server.stateDirectory, ['up', '--at-boot', 'yes']);
  assert.equal(code, 1);
  assert.match(stderr, /^viv: this host does not run systemd, so nothing was set up\. .*viv daemon\n$/);
  assert.equal(server.asked.length, 0);
  assert.equal((await viv(server.stateDirectory, ['up', '--at-boot', 'maybe'])).code, 2);
});
