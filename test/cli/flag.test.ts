// Flags and arguments as they derive from the contract.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { placeOf } from '../../src/cli/command/cp.ts';
import { parseSettings } from '../../src/cli/command/set.ts';
import { allWords, findWords, loadCommand } from '../../src/cli/commands.ts';
import { checkInput } from '../../src/cli/parse/check-input.ts';
import { argumentsOf, flagOf, flagsOf, parseFlag } from '../../src/cli/parse/flag.ts';
import { HelpDesired, parse } from '../../src/cli/parse/parse.ts';
import { VivError } from '../../src/contract/errors.ts';
import { operationList, operations } from '../../src/contract/index.ts';

const refused = (pattern: RegExp) => (error: unknown) => error instanceof VivError && error.exitCode === 2 && pattern.test(error.message);

test('a field becomes the flag that its name and shape say', () => {
  const table: [string, z.ZodType, object][] = [
    ['memoryBytes', z.int().optional(), { name: 'memory', kind: 'bytes', value: 'SIZE' }],
    ['timeoutMs', z.int().default(30_000), { name: 'timeout', kind: 'duration', value: 'TIME', standard: '30s' }],
    ['force', z.boolean().default(false), { name: 'force', kind: 'boolean' }],
    ['accel', z.enum(['auto', 'kvm']).default('auto'), { name: 'accel', kind: 'choice', choices: ['auto', 'kvm'], standard: 'auto' }],
    ['networks', z.array(z.enum(['user', 'none'])).default(['user']), { name: 'network', kind: 'choice', repeat: true }],
    ['sshKeys', z.array(z.string()).default([]), { name: 'ssh-key', kind: 'text', repeat: true }],
    ['cpus', z.int().default(1), { name: 'cpus', kind: 'integer', standard: '1' }],
    ['env', z.record(z.string(), z.string()).default({}), { name: 'env', kind: 'pairs', repeat: true }],
    ['prove', z.stringbool().or(z.boolean()).default(false), { name: 'prove', kind: 'boolean' }],
    ['limit', z.coerce.number().int().default(50), { name: 'limit', kind: 'integer', standard: '50' }],
  ];
  for (const [field, schema, expected] of table) assert.partialDeepStrictEqual(flagOf(field, schema), expected, field);
  assert.equal(flagOf('terminal', z.object({})), null);
});

test('hints rename, hide and shorten flags, and arguments are no flags', () => {
  assert.ok(flagsOf(operations.vm.run).some((flag) => flag.name === 'rm' && flag.field === 'removeOnStop'));
  assert.ok(!flagsOf(operations.vm.run).some((flag) => flag.field === 'image' || flag.field === 'name'));
  assert.ok(flagsOf(operations.vm.remove).some((flag) => flag.short === 'f' && flag.name === 'force'));
  assert.deepEqual(
    argumentsOf(operations.vm.start).map(({ label, several }) => [label, several]),
    [['NAME', true]],
  );
  assert.deepEqual(
    argumentsOf(operations.image.pull).map(({ label, optional }) => [label, optional]),
    [
      ['IMAGE', false],
      ['NAME', true],
    ],
  );
});

test('every operation with a command has one, and no command has two flags of one name', async () => {
  for (const operation of operationList) {
    if (!operation.cli) continue;
    assert.ok(allWords().includes(operation.cli.words), `${operation.id} has no command`);
  }
  for (const words of allWords()) {
    const command = await loadCommand(words);
    assert.equal(command?.words, words);
    const names = command?.flags.flatMap((flag) => [flag.name, ...(flag.short ? [flag.short] : [])]) ?? [];
    assert.equal(new Set(names).size, names.length, `${words}: ${names.join(' ')}`);
    assert.ok(command && parse(command, ['--help']) instanceof HelpDesired, words);
    assert.ok(!/\.$/.test(command?.summary ?? '.'), `${words}: a summary has no full stop`);
  }
});

test('two words are found before one', () => {
  assert.deepEqual(findWords(['image', 'ls', '-q']), { words: 'image ls', rest: ['-q'] });
  assert.deepEqual(findWords(['ls', 'image']), { words: 'ls', rest: ['image'] });
  assert.equal(findWords(['image']), null);
  assert.equal(findWords(['constructor']), null);
});

test('a line is taken apart into arguments, values and the words after --', async () => {
  const run = await loadCommand('run');
  assert.ok(run);
  const line = [
    'debian:12',
    'web',
    '--cpus',
    '2',
    '--memory=1GiB',
    '--user',
    'a',
    '--user',
    'b',
    '--boot',
    'cdrom,disk',
    '--no-wait',
    '--rm',
    '--',
    'ls',
    '--help',
    '--',
    '-x',
  ];
  assert.deepEqual(parse(run, line), {
    args: { image: ['debian:12'], name: ['web'] },
    flags: { cpus: 2, memoryBytes: 2 ** 30, users: ['a', 'b'], boot: ['cdrom', 'disk'], noWait: true, removeOnStop: true },
    rest: ['ls', '--help', '--', '-x'],
  });
  const exec = await loadCommand('exec');
  assert.ok(exec);
  assert.deepEqual(parse(exec, ['web', '--env', 'A=b=c', '--env=D=', '--no-stdin', '--timeout', '5m', '--', 'true']), {
    args: { vm: ['web'] },
    flags: { env: { A: 'b=c', D: '' }, stdin: false, timeoutMs: 300_000 },
    rest: ['true'],
  });
});

test('wrong lines are refused with the way to write them', async () => {
  const table: [string, string[], RegExp][] = [
    ['ls', ['--foo'], /unknown option '--foo'/],
    ['stop', ['--forc', 'x'], /did you mean --force/],
    ['exec', ['web'], /after --/],
    ['exec', ['web', 'ls'], /the command follows --/],
    ['run', ['tiny', '--memory', 'much'], /--memory: "much" is not a size/],
    ['run', ['tiny', '--accel', 'fast'], /"fast" is not one of auto, kvm, tcg/],
    ['run', ['tiny', '--cpus', '1.5'], /whole number/],
    ['start', [], /missing/],
  ];
  for (const [words, line, pattern] of table) {
    const command = await loadCommand(words);
    assert.ok(command);
    assert.throws(() => parse(command, line), refused(pattern), line.join(' '));
  }
});

test('the contract’s refusals are told in the user’s words', () => {
  assert.throws(() => checkInput(operations.vm.start, { vm: 'a/b' }), refused(/^NAME "a\/b": a name or id is made of/));
  assert.throws(() => checkInput(operations.vm.run, { image: 'tiny', memoryBytes: 1 }), refused(/^--memory: a VM has at least 32 MiB/));
  assert.throws(() => checkInput(operations.vm.run, { image: 'x y' }), refused(/^IMAGE "x y": an image is named like/));
  checkInput(operations.vm.run, { image: 'tiny' });
});

test('settings are the flags without their dashes', () => {
  assert.deepEqual(parseSettings(['cpus=2', 'memory=1GiB', 'autostart=yes', 'boot=cdrom,disk', 'cdrom=']), {
    cpus: 2,
    memoryBytes: 2 ** 30,
    autostart: true,
    boot: ['cdrom', 'disk'],
    cdroms: [],
  });
  assert.throws(() => parseSettings(['mem=1G']), refused(/did you mean memory/));
  assert.throws(() => parseSettings(['cpus']), refused(/cpus=N/));
  assert.throws(() => parseSettings(['autostart=maybe']), refused(/neither true nor false/));
});

test('a path with a VM’s name before the colon is in that VM', () => {
  assert.deepEqual(placeOf('web:/etc/hosts'), { vm: 'web', path: '/etc/hosts' });
  for (const path of ['.', './a:b', '/a:b', 'dir/a:b', 'plain', ':x']) assert.deepEqual(placeOf(path), { vm: null, path });
  assert.throws(() => placeOf('web:relative'), refused(/absolute/));
  assert.throws(() => placeOf('we b:/x'), refused(/not a VM/));
});

test('a repeated flag that is single counts the last time', () => {
  const flag = flagOf('cpus', z.int());
  assert.ok(flag);
  assert.equal(parseFlag(flag, ['1', '4']), 4);
});
