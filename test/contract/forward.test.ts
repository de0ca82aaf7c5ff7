// How forwards are written, what they are called by, and which want the same port.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forwardName, forwardText, parseForward, sharesPort } from '../../src/contract/forward.ts';

test('a forward is read as it is written, and has one name', () => {
  const table: [text: string, name: string, whole: string][] = [
    ['8080:80', '8080/tcp', '8080:80/tcp'],
    ['8080', '8080/tcp', '8080:8080/tcp'],
    ['53/udp', '53/udp', '53:53/udp'],
    ['127.0.0.1:5353:53/udp', '127.0.0.1:5353/udp', '127.0.0.1:5353:53/udp'],
    ['[::1]:9000-9009', '[::1]:9000-9009/tcp', '[::1]:9000-9009:9000/tcp'],
    ['[2001:0DB8:0:0::1]:1', '[2001:db8::1]:1/tcp', '[2001:db8::1]:1:1/tcp'],
    ['8000-8009:9000', '8000-8009/tcp', '8000-8009:9000/tcp'],
    ['8000-8009:9000-9009/tcp', '8000-8009/tcp', '8000-8009:9000/tcp'],
    ['0.0.0.0:80', '0.0.0.0:80/tcp', '0.0.0.0:80:80/tcp'],
  ];
  for (const [text, name, whole] of table) {
    assert.equal(forwardName(parseForward(text)), name, text);
    assert.equal(forwardText(parseForward(text)), whole, text);
    assert.deepEqual(parseForward(whole), parseForward(text), whole);
    assert.equal(forwardName(parseForward(name)), name, `${name} is what it can be closed by`);
  }
});

test('what is none is refused', () => {
  const wrong = [
    '',
    'web',
    '80:',
    ':80',
    '80:80:80',
    '-1',
    '1-',
    '0',
    '65536',
    '8080:0',
    '9-8',
    '1-1001',
    '65535-65536',
    '1-2:65535',
    '1-2:5-9',
    '256.1.1.1:1',
    '[::g]:1',
    '::1:80',
    '[1.2.3.4]:80',
    'localhost:1:1',
    '80/icmp',
    '80 ',
    '1e3',
    '80\n',
  ];
  for (const text of wrong) assert.throws(() => parseForward(text), { code: 'invalid' }, JSON.stringify(text));
  assert.equal(forwardName(parseForward('1-1000')), '1-1000/tcp', 'as many as there can be');
});

test('two want the same port where protocol, ports and addresses meet', () => {
  const meet: [string, string, boolean][] = [
    ['80', '80', true],
    ['80', '80/udp', false],
    ['80', '81', false],
    ['80-90', '85:1', true],
    ['80', '127.0.0.1:80', true],
    ['127.0.0.1:80', '127.0.0.2:80', false],
    ['127.0.0.1:80', '[::1]:80', false],
    ['0.0.0.0:80', '127.0.0.2:80', true],
    ['0.0.0.0:80', '[::]:80', false],
    ['[::]:80', '[::1]:80', true],
    ['[::]:80', '80', true],
  ];
  for (const [one, other, same] of meet) {
    assert.equal(sharesPort(parseForward(one), parseForward(other)), same, `${one} and ${other}`);
    assert.equal(sharesPort(parseForward(other), parseForward(one)), same, `${other} and ${one}`);
  }
});
