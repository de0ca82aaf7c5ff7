import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sourceLines } from '../../../src/image/build/apt.ts';
import { findMirror, mirrorAmong, mirrorNamed, parseDeb822, parseList } from '../../../src/image/build/mirror.ts';

const deb822 = `# a comment
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
`;

test('a deb822 file gives its binary sources, folded fields joined and disabled stanzas left out', () => {
  assert.deepEqual(parseDeb822(deb822), [
    { uri: 'http://mirror.example/debian', suites: ['bookworm', 'bookworm-updates'], components: ['main', 'contrib'] },
    { uri: 'http://mirror.example/security', suites: ['bookworm-security'], components: ['main'] },
  ]);
});

test('a sources.list gives its deb lines, with or without options and comments', () => {
  const text =
    'deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian trixie main non-free # mine\ndeb-src http://x.example/debian trixie main\n#deb http://y.example/debian trixie main\n';
  assert.deepEqual(parseList(text), [{ uri: 'https://mirror.example/debian', suites: ['trixie'], components: ['main', 'non-free'] }]);
});

test('the mirror is that of a Debian suite, and foreign sources beside it are passed over', () => {
  const foreign = parseList('deb https://packages.example/apt nodistro main\ndeb http://archive.example/ubuntu noble main\n');
  assert.deepEqual(mirrorAmong([...foreign, ...parseDeb822(deb822)]), {
    main: 'http://mirror.example/debian',
    security: 'http://mirror.example/security',
    securityGuessed: false,
  });
  assert.equal(mirrorAmong(foreign), null);
});

test('a host without Debian sources says how to name a mirror', async () => {
  const apt = await mkdtemp(join(tmpdir(), 'viv-apt-'));
  try {
    await mkdir(join(apt, 'sources.list.d'));
    await writeFile(
      join(apt, 'sources.list.d/ubuntu.sources'),
      'Types: deb\nURIs: http://archive.example/ubuntu\nSuites: noble\nComponents: main\n',
    );
    await assert.rejects(findMirror(undefined, {}, apt), { code: 'unsupported', message: /--mirror/ });
    assert.equal((await findMirror(undefined, { VIV_MIRROR: 'http://mine.example/debian' }, apt)).main, 'http://mine.example/debian');
    assert.equal(
      (await findMirror('http://asked.example/debian', { VIV_MIRROR: 'http://mine.example/debian' }, apt)).main,
      'http://asked.example/debian',
    );
  } finally {
    await rm(apt, { recursive: true });
  }
});

test('a mirror that would be more than an address in a sources line is refused', () => {
  for (const url of ['http://x.example/debian trixie main', 'http://x.example/[a]', 'ftp://x.example/debian', 'file:///etc', 'http://x\n'])
    assert.throws(() => mirrorNamed(url), { code: 'invalid' }, url);
});

test('the security suite is part of the sources', () => {
  assert.deepEqual(sourceLines(mirrorNamed('http://m.example/debian/'), 'trixie'), [
    'deb http://m.example/debian trixie main',
    'deb http://m.example/debian trixie-updates main',
    'deb http://m.example/debian-security trixie-security main',
  ]);
});
