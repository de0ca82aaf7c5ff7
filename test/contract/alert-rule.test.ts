// How alert rules and destinations are written, and the one sentence where they are not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDestination, shownDestination } from '../../src/contract/alert-destination.ts';
import { type AlertRule, parseAlertRule } from '../../src/contract/alert-rule.ts';
import { VivError } from '../../src/contract/errors.ts';

const GiB = 2 ** 30;
const vm = { kind: 'metric', of: 'vm' } as const;

const good: readonly (readonly [string, AlertRule])[] = [
  ['cpuPercent > 90 for 5m', { ...vm, series: 'cpuPercent', operator: '>', threshold: 90, until: 85.5, forMs: 300_000 }],
  ['cpuPercent>90%', { ...vm, series: 'cpuPercent', operator: '>', threshold: 90, until: 85.5, forMs: 0 }],
  ['guestUsedPercent > 95 until 80 for 90s', { ...vm, series: 'guestUsedPercent', operator: '>', threshold: 95, until: 80, forMs: 90_000 }],
  ['guestUsedPercent > 95 for 90s until 80', { ...vm, series: 'guestUsedPercent', operator: '>', threshold: 95, until: 80, forMs: 90_000 }],
  [
    'host.storageFreeBytes < 10GiB until 12GiB',
    { kind: 'metric', of: 'host', series: 'storageFreeBytes', operator: '<', threshold: 10 * GiB, until: 12 * GiB, forMs: 0 },
  ],
  [
    'diskWriteBytesPerSecond > 50M/s',
    { ...vm, series: 'diskWriteBytesPerSecond', operator: '>', threshold: 50 * 2 ** 20, until: 49_807_360, forMs: 0 },
  ],
  ['diskLatencyMs > 20ms until 20', { ...vm, series: 'diskLatencyMs', operator: '>', threshold: 20, until: 20, forMs: 0 }],
  ['event vm.ended', { kind: 'event', type: 'vm.ended' }],
  ['  event   network.* ', { kind: 'event', type: 'network.*' }],
];

const bad: readonly (readonly [string, RegExp])[] = [
  ['', /is empty/],
  ['cpu > 90', /names no series of a VM: "cpu"/],
  ['host.cpu > 90', /names no series of the host/],
  ['constructor > 1', /names no series/],
  ['cpuPercent', /compares by ""/],
  ['cpuPercent >= 90', /compares by ">="/],
  ['cpuPercent = 90', /compares by "="/],
  ['cpuPercent > much', /has "much" where a number is needed/],
  ['cpuPercent > -1', /where a number is needed/],
  ['cpuPercent > 90GiB', /unit does not fit/],
  ['residentBytes > 90%', /unit does not fit/],
  ['cpuPercent > 90 for', /has "" where a duration/],
  ['cpuPercent > 90 for 5 minutes', /where a duration/],
  ['cpuPercent > 90 for 30d', /more than 7 days/],
  ['cpuPercent > 90 until 95', /would never resolve/],
  ['host.storageFreeBytes < 10GiB until 5GiB', /would never resolve/],
  ['cpuPercent > 90 or else', /cannot be understood at "or"/],
  ['event', /names no event/],
  ['event vm.ended vm.started', /names no event, or more than one/],
  ['event VM ended', /names no event/],
  ['event ../../etc', /names no event/],
];

for (const [text, rule] of good) test(`${JSON.stringify(text)} is a rule`, () => assert.deepEqual(parseAlertRule(text), rule));

for (const [text, why] of bad)
  test(`${JSON.stringify(text)} is refused in one sentence that shows how a rule is written`, () => {
    assert.throws(
      () => parseAlertRule(text),
      (error) =>
        error instanceof VivError &&
        error.code === 'invalid' &&
        why.test(error.message) &&
        /write it like "cpuPercent > 90 for 5m"/.test(error.message),
    );
  });

test('destinations are the log, webhooks and programs by their absolute path', () => {
  assert.deepEqual(parseDestination('log'), { kind: 'log' });
  assert.deepEqual(parseDestination('https://hooks.example.org/a/secret'), { kind: 'webhook', url: 'https://hooks.example.org/a/secret' });
  assert.deepEqual(parseDestination('command:/usr/local/bin/page'), { kind: 'command', path: '/usr/local/bin/page' });
  for (const text of ['', 'file:///etc/passwd', 'ftp://a/b', 'command:page', 'command:', 'https://', 'http://[::1', 'LOG'])
    assert.throws(() => parseDestination(text), { code: 'invalid' }, text);
});

test('of a webhook only the host is shown: the rest of its URL may be its secret', () => {
  assert.equal(shownDestination('https://user:pass@hooks.example.org:8443/a/secret?token=x'), 'https://hooks.example.org:8443/…');
  assert.equal(shownDestination('command:/usr/local/bin/page'), 'command:/usr/local/bin/page');
});
