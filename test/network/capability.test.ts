// What is told of a host that lacks a program which networks need: the package that has it. The program is hidden in a mount namespace of the
// test's own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noWorld } from './world.ts';

const module = fileURLToPath(new URL('../../src/network/capability.ts', import.meta.url));
const look = `import(${JSON.stringify(module)}).then(async ({ findCapability }) => console.log(JSON.stringify(await findCapability(process.env))))`;
const ordinary = ['setpriv', '--reuid=1234567', '--regid=1234567', '--clear-groups'];

/** What is found where the program cannot be run. */
function without(program: string, as: readonly string[] = []): { ok: boolean; code?: string; why?: string; limits?: string[] } {
  const path = execFileSync('/bin/sh', ['-c', `command -v ${program} || command -v /usr/sbin/${program}`], { encoding: 'utf8' }).trim();
  const script = `mount --bind /dev/null "$(readlink -f "$1")" && shift || exit
mount -t tmpfs tmpfs /dev/net && mknod /dev/net/tun c 10 200 && chmod 666 /dev/net/tun && exec "$@"`;
  const words = [...as, process.execPath, '--disable-warning=ExperimentalWarning', '-e', look];
  return JSON.parse(execFileSync('unshare', ['--mount', 'sh', '-c', script, 'sh', path, ...words], { encoding: 'utf8', timeout: 60_000 }));
}

test('a missing program is reported with its package', { skip: noWorld }, () => {
  for (const [program, apt] of [
    ['nft', 'nftables'],
    ['dnsmasq', 'dnsmasq-base'],
    ['tc', 'iproute2'],
  ] as const) {
    const { ok, code, why } = without(program);
    assert.deepEqual([ok, code, why], [false, 'missing_program', `${program} is not installed; install it with: apt-get install ${apt}`]);
  }
});

test('an ordinary user without pasta has networks without an uplink, and the package is reported', { skip: noWorld }, () => {
  const { ok, limits = [] } = without('pasta', ordinary);
  assert.equal(ok, true);
  assert.match(limits.join('\n'), /no uplink, because pasta is not installed; install it with: apt-get install passt/);
});
