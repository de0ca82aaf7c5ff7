// The words of this project (a table of words to write and words not to write) hold in source, native programs, documents, API description and help: what stands on the left
// of its table is not written. A pattern here has few other meanings; those that remain are excepted one by one, with the reason.
import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { allCommands, mainHelp } from '../src/cli/help.ts';
import { helpOf } from '../src/cli/parse/parse.ts';

const root = join(import.meta.dirname, '..');

/** What is not written, and what is written instead. */
const words: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/(?<!virtual[- ]|\/)\bmachines?\b(?![- ]?(type|id)|_|ctl|\.slice|=)/i, 'VM (machine: only hardware, and QEMU’s machine type)'],
  [/\bcards?\b|\bcables?\b/i, 'NIC, link'],
  [/\bset(s|ting)? back\b|\bmake a point\b|\bpoints? of a (machine|VM)\b/i, 'restore, take a snapshot'],
  [/\btops\b/i, 'overlays'],
  [/\b(lies|lie|laid|lay) on\b|\bstands? alone\b|\bstood alone\b/i, 'is backed by, independent'],
  [/\bsums\b/i, 'checksums'],
  [/\b(un|network )forwards?\b|\bnetwork (attach|detach|guard|link|limit)\b/i, 'forward add, ls, rm; nic add, ls, set, rm'],
  [/\btold\b|\bhears?\b|\bheard\b|\bnews\b/i, 'reported, on…, events'],
  [/\blook(s|ed|ing)? after\b|\bkeepers?\b/i, 'supervise, monitor'],
  [/\bwanted\b/i, 'desired'],
  [/\bjoints?\b|\bway out\b|\banswer way\b/i, 'bridge uplink, uplink, egress, return route'],
  [/\bnewcomers?\b|\bintroduc(e|es|ed|ing)\b/i, 'pending identity, apply identity'],
  [/\basleep\b|\bsle(ep|pt)s?\b(?!\()|\bwak(e|es|ed|ing)\b|\bst(and|ands|ood|anding) still\b/i, 'suspended, resumes, paused'],
  [/\bgo(es|ing)? on\b|\bwent on\b/i, 'continues'],
  [
    /\bt(ake|akes|ook|aken|aking) (it |them )?up\b|\blet(s|ting)? (it |them )?go\b|\bg(ive|ives|ave|iven) (it |them )?(up|away)\b|\bt(ake|akes|ook|aken) (it |them )?back\b/i,
    'adopt, detach, abandon, evict, roll back, release',
  ],
  [/\bboards?\b/i, 'machine type'],
  [/\bstarved\b/i, 'paused: host disk full'],
  [/(?<![/$_.'"])\bhomes?\b(?![/_'"]| director)/, 'state directory'],
  [/\bpolitely\b|\bfirmly\b/i, 'gracefully, by force after a timeout'],
  [/\bwhen left out\b|\bcounts at once\b|\bmay be repeated\b/i, 'default: …, takes effect immediately, repeatable'],
  [/\bis no name for\b|\bof ours\b|\bin the way\b|\bwhoever\b/i, 'is not a valid name for, Vivarium’s, conflicts with, callers'],
];

/** Lines that may keep a word, each with the reason. */
const excepted: readonly (readonly [file: RegExp, line: RegExp, reason: string])[] = [
  [/./, /\/home\/|\bHOME\b|VIV_HOME|XDG_|\bhomedir\b|user's home/, 'home directories, and the environment’s own names'],
  [/./, /'-machine'|from 'node:os'|system\.machine|\bmachine\(\)/, 'QEMU’s option, and Node’s function'],
  [/./, /\bwake\b *(=|\(|\)|,|:|;)|\.wake\b/, 'a function that ends a waiting, as condition variables name it'],
  [/^src\/store\/migration\//, /./, 'field names of 0.1.0, which are read here'],
  [/^src\/qemu\/kvm\/payload\.ts/, /./, 'a processor that halts sleeps, and an interrupt wakes it'],
  [/^src\/vm\/ready\.ts/, /sleep 0\.1/, 'sleep(1) of a shell script'],
  [/^src\/(resource\/history\/roll-up|snapshot\/screen-image)\.ts/, /sums/, 'sums of numbers'],
  [/^src\/snapshot\/diff\/reader-scripts\.ts/, /told/, 'a variable of a shell script that is part of a VM’s image'],
  [/^src\/image\/build\/tiny-files\.ts/, /card/, 'a variable of a shell script that is part of an image'],
];

interface Line {
  readonly place: string;
  readonly text: string;
}

async function* linesOf(path: string): AsyncGenerator<Line> {
  const found = await stat(join(root, path)).catch(() => null);
  if (found === null) return;
  if (found.isDirectory()) {
    for (const name of (await readdir(join(root, path))).sort()) yield* linesOf(`${path}/${name}`);
  } else if (/\.(ts|c|h|S|md|json|sh)$/.test(path)) {
    const text = await readFile(join(root, path), 'utf8');
    for (const [index, line] of text.split('\n').entries()) yield { place: `${path}:${index + 1}`, text: line };
  }
}

async function* everything(): AsyncGenerator<Line> {
  for (const path of ['src', 'native', 'docs', 'README.md', 'openapi.json']) yield* linesOf(path);
  const help = [await mainHelp(), ...(await allCommands()).map((command) => helpOf(command))].join('\n');
  for (const text of help.split('\n')) yield { place: 'viv --help', text };
}

test('the words of terms.md are used', async () => {
  let seen = 0;
  const wrong: string[] = [];
  for await (const { place, text } of everything()) {
    seen += 1;
    if (excepted.some(([file, line]) => file.test(place) && line.test(text))) continue;
    for (const [pattern, instead] of words) {
      const match = pattern.exec(text);
      if (match) wrong.push(`${place}: “${match[0]}” in “${text.trim().slice(0, 120)}”; write: ${instead}`);
    }
  }
  assert.ok(seen > 10_000, `only ${seen} lines were seen`);
  assert.deepEqual(wrong, []);
});
