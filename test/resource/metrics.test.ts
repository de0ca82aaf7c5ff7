// Prometheus' own checker reads what the daemon would print, and 1,000 VMs are printed fast enough.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { type DaemonFacts, metricsOf } from '../../src/resource/metric/metrics.ts';
import { hostCounters, runningLook, stoppedLook } from './looks.ts';

const daemon: DaemonFacts = { version: '0.2.0', startedAt: 1_764_000_000_000, firing: { warning: 0, critical: 1 } };
const host = { values: {}, counters: hostCounters, recent: { list: () => [] } };
const metricsText = (...given: Parameters<typeof metricsOf>) => metricsOf(...given).toString();
const linesOf = (text: string, name: string) => text.split('\n').filter((line) => line.startsWith(name) && !line.startsWith('#'));

test('promtool finds nothing to complain about', () => {
  const text = metricsText({ host, vms: [runningLook('web'), stoppedLook('db')] } as never, daemon);
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.equal(`${stdout}${stderr}`.trim(), '');
});

test('what is not known has no sample', () => {
  const text = metricsText(
    { host, vms: [stoppedLook('db'), runningLook('bare', { shared: null, guest: null, disks: [], nics: [] })] } as never,
    daemon,
  );
  assert.deepEqual(linesOf(text, 'vivarium_vm_guest_memory'), []);
  assert.deepEqual(linesOf(text, 'vivarium_vm_memory_proportional_bytes'), []);
  assert.deepEqual(linesOf(text, 'vivarium_vm_cpu_seconds_total{vm="db"'), []);
  assert.deepEqual(
    linesOf(text, 'vivarium_vm_state{vm="db"').filter((line) => line.endsWith(' 1')),
    ['vivarium_vm_state{vm="db",id="id-db",state="stopped"} 1'],
  );
  assert.ok(!/(NaN|Inf|undefined|null)/.test(text));
});

test('what the guest receives is what its tap sends', () => {
  const text = metricsText({ host, vms: [runningLook('web')] } as never, daemon);
  assert.deepEqual(linesOf(text, 'vivarium_vm_network_receive_bytes_total'), [
    'vivarium_vm_network_receive_bytes_total{vm="web",id="id-web",nic="net0"} 2000',
  ]);
});

test('pressure in the guest is a part of the time, by resource, and absent where it is not counted', () => {
  const text = metricsText({ host, vms: [runningLook('web'), runningLook('bare', { guestPressure: null })] } as never, daemon);
  assert.deepEqual(linesOf(text, 'vivarium_vm_guest_pressure_ratio'), [
    'vivarium_vm_guest_pressure_ratio{vm="web",id="id-web",resource="memory"} 0.125',
    'vivarium_vm_guest_pressure_ratio{vm="web",id="id-web",resource="io"} 0',
  ]);
});

test('labels are escaped', () => {
  const text = metricsText({ host, vms: [stoppedLook('a"b\\c\nd')] } as never, daemon);
  assert.ok(text.includes('vivarium_vm_cpus{vm="a\\"b\\\\c\\nd",id='));
  const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});

test('page cache is not counted as used', () => {
  const text = metricsText({ host, vms: [runningLook('web')] } as never, daemon);
  const [line] = linesOf(text, 'vivarium_vm_guest_memory_used_bytes');
  assert.equal(line?.split(' ').at(-1), String(512 * 2 ** 20 - 100 * 2 ** 20 - 300 * 2 ** 20));
});
