// The preloaded library bounds the serial log, however long it is already, and standard error (native/qemu-preload/bounded_log.c). Perl
// stands for QEMU: it appends with write(2).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const library = fileURLToPath(new URL('../../.build/native/x86_64/vivarium-qemu-preload.so', import.meta.url));
const MiB = 2 ** 20;
let folder: string;
const file = (name: string) => join(folder, name);

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'viv-log-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Appends so many lines of 100 bytes with their numbers to a file. */
function append(to: string, lines: number, stderr: number | 'ignore' = 'ignore'): void {
  const script = `open(my $log, '>>', $ARGV[0]) or die; syswrite($log, sprintf("%099d\\n", $_)) for 1..${lines};`;
  execFileSync('perl', ['-e', script, to], { env: { LD_PRELOAD: library }, stdio: ['ignore', 'ignore', stderr] });
}

test('of 40 MiB that are appended, at most 16 MiB are kept, and those are the newest', () => {
  const lines = (40 * MiB) / 100;
  append(file('serial'), Math.ceil(lines));
  const text = readFileSync(file('serial'), 'latin1');
  assert.ok(text.length <= 16 * MiB + 65_536, `${text.length} bytes`);
  assert.match(text.slice(-100), new RegExp(`^0*${Math.ceil(lines)}\n$`));
});

test('a log of 3 GiB is short again after the next 64 KiB', () => {
  writeFileSync(file('long'), '');
  truncateSync(file('long'), 3 * 1024 * MiB);
  append(file('long'), 700);
  const { size } = statSync(file('long'));
  assert.ok(size <= 16 * MiB, `${size} bytes`);
});

test('standard error is bounded as well', () => {
  writeFileSync(file('stderr'), '');
  truncateSync(file('stderr'), 3 * 1024 * MiB);
  append(file('other'), 2000, openSync(file('stderr'), 'a'));
  assert.ok(statSync(file('stderr')).size <= 16 * MiB);
});

test('a file that is written, but not appended to, keeps all of it', () => {
  const script = `open(my $disk, '>', $ARGV[0]) or die; syswrite($disk, "x" x 65536) for 1..400;`;
  execFileSync('perl', ['-e', script, file('disk')], { env: { LD_PRELOAD: library } });
  assert.equal(statSync(file('disk')).size, 400 * 65_536);
});
