// Who has a port, found through /proc.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { hexOf, portOwner, socketsIn } from '../../src/host/process/port-owner.ts';

test('addresses are written as the kernel’s tables have them', () => {
  const table: [string, string][] = [
    ['127.0.0.1', '0100007F'],
    ['192.0.2.9', '090200C0'],
    ['::1', '00000000000000000000000001000000'],
    ['2001:db8::9', 'B80D0120000000000000000009000000'],
    ['fd12:3456:789a:1::2', '563412FD01009A780000000002000000'],
  ];
  for (const [address, hex] of table) assert.equal(hexOf(address), hex, address);
});

test('a row matches its address and any address, and one without an owner matches none', () => {
  const row = (local: string, state: string, inode: string) =>
    `   1: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  33        0 ${inode} 1 x`;
  const table = [
    '  sl  local_address rem_address   st',
    row('0100007F:1F90', '0A', '11'),
    row('00000000:1F90', '0A', '12'),
    row('0200007F:1F90', '01', '13'),
    row('0100007F:1F90', '06', '0'),
    row('0100007F:1F91', '0A', '14'),
    '',
  ].join('\n');
  const inodes = (port: number, address: string | null) => socketsIn(table, port, address).map(({ inode }) => inode);
  assert.deepEqual(inodes(8080, hexOf('127.0.0.1')), ['11', '12']);
  assert.deepEqual(inodes(8080, null), ['11', '12', '13']);
  assert.deepEqual(inodes(8082, null), []);
});

test('this process is found by its sockets', { skip: process.platform !== 'linux' }, async () => {
  const tcp = createServer().listen(0, '127.0.0.1');
  const udp = createSocket('udp6');
  udp.bind(0, '::');
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
  const own = new RegExp(`^\\S.* \\(pid ${process.pid}\\)$`);
  const { port } = tcp.address() as AddressInfo;
  try {
    assert.match((await portOwner('tcp', null, port)) ?? '', own);
    assert.match((await portOwner('tcp', '127.0.0.1', port)) ?? '', own);
    assert.equal(await portOwner('tcp', '127.0.0.2', port), null);
    assert.match((await portOwner('udp', '127.0.0.1', udp.address().port)) ?? '', own);
  } finally {
    tcp.close();
    udp.close();
  }
});
