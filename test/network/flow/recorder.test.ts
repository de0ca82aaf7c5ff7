// What keeps the flow log while no daemon runs, with real packets that are told in a namespace: all of it in order, no more room than two files have, and
// nothing twice or half after a kill.
import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { tapProgram } from '../../../src/host/guest-asset.ts';
import type { Staying } from '../../../src/host/process/background.ts';
import { startTicksOf } from '../../../src/host/process/start-ticks.ts';
import { parseFlows } from '../../../src/network/flow/nflog.ts';
import { recordedFlows } from '../../../src/network/flow/recorder.ts';
import { eventually } from '../../eventually.ts';
import { type Lab, makeLab, noLab, type Running } from '../firewall/lab.ts';

/** Sends a datagram to each port of a range, as it is told, a few at a time. */
const sending = `
const socket = require('node:dgram').createSocket('udp4');
const send = (port) => new Promise((resolve) => socket.send('numbered', port, '127.0.0.1', resolve));
require('node:readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  const [first, last] = line.split(' ').map(Number);
  for (let port = first; port <= last; port++) await send(port);
  console.log('sent');
});
console.log('ready');
`;

describe('the record of flows', { skip: noLab }, () => {
  let lab: Lab;
  let folder: string;
  let own: Staying;
  let sender: Running;
  let recorder: Running;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'viv-flows-'));
    own = { pid: process.pid, startTicks: (await startTicksOf(process.pid)) ?? 0 };
    lab = makeLab();
    lab.nft(`table inet numbers {
  chain out { type filter hook output priority 0; udp dport >= 10000 log prefix "viv accept" group 1 snaplen 128; }
}`);
    sender = lab.start(null, [process.execPath, '-e', sending]);
    assert.equal(await sender.line(), 'ready');
    await begin();
  });
  after(async () => {
    for (const one of [sender, recorder]) one?.stop();
    lab?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function begin(where = folder): Promise<void> {
    recorder = lab.start(null, [(await tapProgram()) ?? '', 'flows', '1', where]);
    assert.equal(await recorder.line(), 'ready');
  }
  async function send(first: number, last: number): Promise<void> {
    sender.write(`${first} ${last}\n`);
    assert.equal(await sender.line(), 'sent');
  }
  /** The ports that it tells of, until the last one. */
  async function portsUntil(last: number, ports: number[] = []): Promise<number[]> {
    const signal = AbortSignal.timeout(200_000);
    for await (const { targetPort } of recordedFlows(folder, own, signal)) {
      ports.push(targetPort ?? 0);
      if (targetPort === last) return ports;
    }
    return ports;
  }
  const until = <T>(look: () => Promise<T>, fits: (found: T) => boolean): Promise<T> =>
    eventually('as much is kept', async () => {
      const found = await look();
      assert.ok(fits(found));
      return found;
    });
  const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

  test('a late reader gets the records that it missed, then the new ones', async () => {
    await send(10_000, 10_099);
    const reading = portsUntil(10_199);
    await send(10_100, 10_199);
    assert.deepEqual(await reading, range(10_000, 10_199));
  });

  test('one that was killed is begun anew, and nothing that was kept is lost', async () => {
    const { stdout } = lab.run(null, ['cat', join(folder, 'flows.pid')]);
    lab.ok(null, ['kill', '-9', stdout.trim()]);
    recorder.stop();
    await begin();
    await send(10_200, 10_299);
    assert.deepEqual(await portsUntil(10_299), range(10_000, 10_299));
  });

  test('a following reader gets every record, a late one the latest, and the file is bounded', async () => {
    const ports: number[] = [];
    const along = portsUntil(49_999, ports);
    for (let first = 10_300; first < 50_000; first += 2000) {
      await send(first, Math.min(first + 1999, 49_999));
      // Of what comes while nobody gets to run the kernel keeps some only.
      await eventually('it is told', () => ports.at(-1) === Math.min(first + 1999, 49_999));
    }
    const told = await along;
    assert.deepEqual(told.slice(-39_700), range(10_300, 49_999));
    const late = await portsUntil(49_999);
    assert.ok(late.length > 5000 && late.length < 39_700, `${late.length}`);
    assert.deepEqual(late, range(50_000 - late.length, 49_999));
    for (const name of ['flows.0', 'flows.1']) assert.ok((await stat(join(folder, name))).size <= 2 * 1024 * 1024);
  });

  test('a full disk loses records and breaks nothing; recording continues when there is space', async () => {
    const small = join(folder, 'small');
    lab.ok(null, ['sh', '-c', `kill -9 $(cat ${folder}/flows.pid); mkdir ${small}; mount -t tmpfs -o size=64k tmpfs ${small}`]);
    recorder.stop();
    await begin(small);
    const kept = async () => {
      const bytes = Buffer.from(lab.ok(null, ['base64', join(small, 'flows.1')]), 'base64');
      const ports: number[] = [];
      for await (const { targetPort } of parseFlows([bytes] as unknown as AsyncIterable<Uint8Array>)) ports.push(targetPort ?? 0);
      return ports;
    };
    await send(10_000, 11_999);
    const first = await until(kept, (ports) => ports.length > 300);
    assert.ok(first.length < 1000, `${first.length}`);
    assert.deepEqual(first, range(10_000, 9999 + first.length));
    lab.ok(null, ['mount', '-o', 'remount,size=1m', small]);
    await send(20_000, 20_099);
    assert.deepEqual((await until(kept, (ports) => ports.at(-1) === 20_099)).slice(-100), range(20_000, 20_099));
  });

  test('readers are notified when the recorder ends', async () => {
    const gone = { pid: own.pid, startTicks: own.startTicks + 1 };
    await assert.rejects(async () => {
      for await (const _ of recordedFlows(folder, gone, AbortSignal.timeout(60_000)));
    }, /has ended/);
  });
});
