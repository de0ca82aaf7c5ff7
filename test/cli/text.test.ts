// Hostile text: nothing that a guest, a file or a user wrote reaches the terminal as a command.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { renderSheet, renderTable } from '../../src/cli/render/table.ts';
import { clean, columns, cut, quote, shorten } from '../../src/cli/render/text.ts';
import { colourOnly } from '../../src/cli/terminal/colour-only.ts';

const control = /[\u0000-\u001f\u007f-\u009f]/;

test('terminal sequences leave no trace in a cell', () => {
  assert.equal(clean('a\u001b[31mred\u001b[0m b'), 'ared b');
  assert.equal(clean('a\u001b]0;owned\u0007b'), 'ab');
  assert.equal(clean('a\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\b'), 'alinkb');
  assert.equal(clean('one\r\ntwo\tthree'), 'one two three');
  assert.equal(clean('\u009b2Jx'), 'x');
  assert.equal(clean('abc\u202edef'), 'abcdef');
});

test('no text whatever leaves a control character', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !control.test(clean(text)) && !control.test(quote(text))));
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('\u001b', '[', ']', ';', '1', 'm', '\u0007', '\\', 'P', 'x', '\n'), { maxLength: 30 }),
      (parts) => !control.test(clean(parts.join(''))),
    ),
  );
});

test('ten thousand characters are repeated as forty', () => {
  assert.ok(quote('a'.repeat(10_000)).length <= 42);
  assert.equal(quote('a/b,"c"\n'), '"a/b,\\"c\\"\\n"');
  assert.equal(shorten('💚💚💚💚💚', 3), '💚💚…');
});

test('a table is as wide as the terminal at most, and names stay whole', () => {
  const rows = [
    { name: 'web', image: 'x'.repeat(200), note: 'y'.repeat(50) },
    { name: 'a-rather-long-name', image: '日本語', note: '' },
  ];
  const lines = renderTable(
    rows,
    [
      { title: 'NAME', value: (row) => row.name, whole: true },
      { title: 'IMAGE', value: (row) => row.image },
      { title: 'NOTE', value: (row) => row.note },
    ],
    60,
    (row) => (row.name === 'web' ? 'broken because of a very long reason that goes on and on and on and on' : null),
  );
  for (const line of lines) assert.ok(columns(line) <= 60, line);
  assert.ok(lines.some((line) => line.startsWith('a-rather-long-name  ')));
  assert.ok(lines[2]?.startsWith('  broken because'));
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 30 }), (text, width) => columns(cut(text, width)) <= width),
  );
});

test('without a terminal nothing is cut', () => {
  const [, line] = renderTable([{ a: 'z'.repeat(500) }], [{ title: 'A', value: (row) => row.a }], undefined);
  assert.equal(line, 'z'.repeat(500));
});

test('a sheet leaves out what is not there and keeps several lines together', () => {
  assert.deepEqual(
    renderSheet([
      ['name', 'web'],
      ['why', null],
      ['disks', ['one', 'two']],
    ]),
    ['name   web', 'disks  one', '       two'],
  );
});

async function through(colours: boolean, chunks: readonly string[]): Promise<string> {
  const filter = colourOnly(colours);
  for (const chunk of chunks) filter.write(Buffer.from(chunk));
  filter.end();
  let text = '';
  for await (const piece of filter) text += String(piece);
  return text;
}

test('of a guest’s log only the colours reach a terminal, wherever the chunks are cut', async () => {
  const log = 'a\u001b[2J\u001b[31mred\u001b[0m\u001b]0;title\u0007\u001b[6n end\r\n';
  assert.equal(await through(true, [log]), 'a\u001b[31mred\u001b[0m end\r\n');
  assert.equal(await through(true, [...log]), 'a\u001b[31mred\u001b[0m end\r\n');
  assert.equal(await through(false, [log]), 'ared end\r\n');
});
