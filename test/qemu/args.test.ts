// QEMU's arguments: what comes out for each kind of VM (test/golden), and that no string can become another option.
// After a wanted change: UPDATE_GOLDEN=1 node --test test/qemu/args.test.ts, and read the diff.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { qemuArguments } from '../../src/qemu/args/build.ts';
import { tpmArguments } from '../../src/qemu/args/tpm.ts';
import { QemuConfig } from '../../src/qemu/config.ts';

const golden = new URL('../golden/', import.meta.url);
const configs = readdirSync(golden)
  .filter((file) => file.endsWith('.json'))
  .map((file) => ({
    name: file.slice(0, -'.json'.length),
    config: QemuConfig.parse(JSON.parse(readFileSync(new URL(file, golden), 'utf8'))),
  }));

for (const { name, config } of configs) {
  test(`${name} is started with the arguments in golden/${name}.argv`, () => {
    const file = new URL(`${name}.argv`, golden);
    const argv = `${qemuArguments(config).join('\n')}\n`;
    if (process.env['UPDATE_GOLDEN']) writeFileSync(file, argv);
    assert.equal(argv, readFileSync(file, 'utf8'));
  });
}

test('every VM is sandboxed, starts from nothing, has shared memory and listens on no TCP port', () => {
  assert.ok(configs.length > 0);
  for (const { name, config } of configs) {
    const argv = qemuArguments(config);
    assert.ok(argv.includes('-nodefaults') && argv.includes('-no-user-config'), name);
    assert.equal(theValueOf(argv, '-sandbox'), 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny');
    assert.equal(JSON.parse(theValueOf(argv, '-object')).share, true);
    for (const chardev of valuesOf(argv, '-chardev')) assert.match(chardev, /^socket,id=\w+,(path=|fd=\d+$)/);
    assert.match(theValueOf(argv, '-vnc'), /^unix:/);
    for (const node of valuesOf(argv, '-blockdev').map((text) => JSON.parse(text))) assert.ok(node.driver, 'a format is never guessed');
  }
});

test('the TPM is the one that each board can have', () => {
  const deviceOf = (arch: QemuConfig['arch']) => {
    const [device] = valuesOf(tpmArguments({ tpm: { fd: 5 }, arch }), '-device');
    return device === undefined ? null : JSON.parse(device).driver;
  };
  assert.deepEqual((['x86_64', 'i386', 'aarch64', 's390x'] as const).map(deviceOf), ['tpm-crb', 'tpm-crb', 'tpm-tis-device', null]);
});

/** Text with everything that means something to QEMU's option parser, JSON or a shell. No NUL: the kernel ends an argument there. */
const hostile = fc.oneof(
  fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', '')),
  fc
    .array(
      fc.constantFrom(
        ',',
        ',,',
        '"',
        "'",
        '\\',
        '\n',
        ' ',
        '=',
        'server=on',
        ',server=on',
        'process=x',
        ',process=',
        '{',
        '}',
        '-S',
        '/',
        'é',
        'a',
      ),
    )
    .map((parts) => parts.join('')),
);
const hostileConfig = fc
  .record({ base: fc.constantFrom(...configs), text: fc.array(hostile, { minLength: 12, maxLength: 12 }) })
  .map(({ base, text }) => {
    const [name, qmp, serial, agent, qga, vnc, log, disk, host, kernel, append, firmware] = text as [string, ...string[]] & string[];
    const { config } = base;
    return {
      config,
      changed: {
        ...config,
        name,
        sockets: { qmp, serial, agent, qga, vnc },
        serialLog: log,
        disks: config.disks.map((each) => ({ ...each, file: `/${disk}` })),
        nics: config.nics.map((nic) => ({ ...nic, backend: { type: 'user' as const, hostname: host } })),
        kernel: config.kernel && { file: kernel, initrd: kernel, commandLine: append },
        firmware: config.firmware.type === 'uefi' ? { type: 'uefi' as const, code: `/${firmware}`, vars: `/${firmware}` } : config.firmware,
      } as QemuConfig,
    };
  });

test('no name or path changes the number of arguments, their options or their keys, and each is read back as it was', () => {
  fc.assert(
    fc.property(hostileConfig, ({ config, changed }) => {
      const before = qemuArguments(config);
      const after = qemuArguments(changed);
      assert.equal(after.length, before.length);
      assert.deepEqual(shape(after), shape(before));
      const chardevs = Object.fromEntries(valuesOf(after, '-chardev').map((text) => [read(text)['id'], read(text)]));
      const { qmp, serial, agent, qga, vnc } = changed.sockets;
      assert.deepEqual(
        [chardevs['qmp']?.['path'], chardevs['serial']?.['path'], chardevs['agent']?.['path'], chardevs['qga']?.['path']],
        [qmp, serial, agent, qga],
      );
      assert.equal(chardevs['serial']?.['logfile'], changed.serialLog);
      assert.equal(theValueOf(after, '-vnc').replaceAll(',,', ','), `unix:${vnc}`);
      const identity = read(theValueOf(after, '-name'));
      assert.deepEqual([identity['guest'], identity['process']], [changed.name, changed.id]);
      const files = valuesOf(after, '-blockdev').map((text) => JSON.parse(text).filename);
      for (const disk of changed.disks) assert.ok(files.includes(disk.file));
      if (changed.kernel) assert.equal(theValueOf(after, '-append'), changed.kernel.commandLine);
    }),
    { numRuns: 300 },
  );
});

/** Which option each argument is, and which keys its value has. */
function shape(argv: readonly string[]): unknown[] {
  const verbatim = new Set(['-kernel', '-initrd', '-append']);
  return pairs(argv).map(([option, value]) =>
    value === null || verbatim.has(option) ? [option] : [option, Object.keys(value.startsWith('{') ? JSON.parse(value) : read(value))],
  );
}

/** Options with their values; an option that takes none has null. */
function pairs(argv: readonly string[]): [string, string | null][] {
  const alone = new Set(['-nodefaults', '-no-user-config', '-S']);
  const found: [string, string | null][] = [];
  for (let at = 0; at < argv.length; at++) {
    const option = argv[at] as string;
    found.push(alone.has(option) ? [option, null] : [option, argv[++at] as string]);
  }
  return found;
}

const valuesOf = (argv: readonly string[], option: string): string[] =>
  pairs(argv).flatMap(([name, value]) => (name === option && value !== null ? [value] : []));

function theValueOf(argv: readonly string[], option: string): string {
  const [value, ...more] = valuesOf(argv, option);
  assert.ok(value !== undefined && more.length === 0, `${option} is given once`);
  return value;
}

/** As QEMU's get_opt_value reads `a=b,c=d,,e`: two commas are one in the value, one ends it. A value without = is its own key. */
function read(text: string): Record<string, string> {
  const parts = [''];
  for (let at = 0; at < text.length; at++) {
    const ends = text[at] === ',' && text[at + 1] !== ',';
    if (ends) parts.push('');
    else parts.push(`${parts.pop()}${text[at]}`);
    if (!ends && text[at] === ',') at++;
  }
  return Object.fromEntries(
    parts.map((part) => {
      const equals = part.indexOf('=');
      return equals < 0 || part.startsWith('unix:')
        ? [part.startsWith('unix:') ? 'unix' : part, '']
        : [part.slice(0, equals), part.slice(equals + 1)];
    }),
  );
}
