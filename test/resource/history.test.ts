// History files: what was seen comes back, over restarts, around the ring, and after damage; what was not known stays unknown.
import assert from 'node:assert/strict';
import { mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { VmSeries } from '../../src/contract/series.ts';
import { Histories } from '../../src/resource/history/histories.ts';
import { ringFor, rings, slotOffset } from '../../src/resource/history/layout.ts';
import { decodeValue, encodeValue } from '../../src/resource/history/value-code.ts';
import { hostCounters, runningLook } from './looks.ts';

const hour = 3_600_000;
/** The beginning of an hour. */
const t0 = 472_222 * hour;
const never = () => assert.fail('no write was to fail');

const look = (at: number, values: { [N in VmSeries]?: number }) => ({
  at,
  host: { values: { cpuPercent: 10 }, counters: hostCounters, recent: { list: () => [], push: () => {} } as never },
  vms: [{ ...runningLook('web'), values }],
});

async function folder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'viv-history-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function opened(path: string): Promise<Histories> {
  const histories = new Histories(path, never);
  await histories.open(() => true);
  return histories;
}

const id = 'id-web';
const cpu = async (histories: Histories, from: number, to: number, points = 10_080) =>
  (await histories.read(id, from, to, to, points)).mean['cpuPercent'] ?? [];

test('a value keeps four digits in two bytes; 0 and unknown are told apart', () => {
  assert.equal(decodeValue(encodeValue(undefined)), undefined);
  assert.equal(decodeValue(encodeValue(Number.NaN)), undefined);
  assert.equal(decodeValue(encodeValue(0)), 0);
  assert.equal(decodeValue(encodeValue(100)), 100);
  fc.assert(
    fc.property(fc.double({ min: 1e-5, max: 2e13, noNaN: true }), (value) => {
      const back = decodeValue(encodeValue(value)) ?? Number.NaN;
      return Math.abs(back - value) <= value * 0.001;
    }),
  );
});

test('seconds come back as they were, also by the next daemon, with gaps for what was not known', async () => {
  await using place = await folder();
  const first = await opened(place.path);
  for (let second = 0; second < 25; second++)
    first.record(look(t0 + second * 1000, second === 7 ? { cpuCores: 1 } : { cpuPercent: second }));
  const expected = Array.from({ length: 25 }, (_, second) => (second === 7 ? null : second));
  assert.deepEqual(await cpu(first, t0, t0 + 25_000), expected, 'what is in memory is there too');
  await first.close();
  const second = await opened(place.path);
  assert.deepEqual(await cpu(second, t0, t0 + 25_000), expected);
  const { mean } = await second.read(id, t0, t0 + 25_000, t0 + 25_000, 100);
  assert.deepEqual(Object.keys(mean).sort(), ['cpuCores', 'cpuPercent'], 'a series that was never known is absent');
});

test('the ring comes round: of what is older than an hour its minutes are left', async () => {
  await using place = await folder();
  const histories = await opened(place.path);
  for (let second = 0; second < 2 * 3600; second++) {
    histories.record(look(t0 + second * 1000, { cpuPercent: second < 3600 ? 20 : 40 }));
    if (second % 600 === 0) await histories.close();
  }
  await histories.close();
  const end = t0 + 2 * hour;
  assert.deepEqual(new Set(await cpu(histories, end - hour, end)), new Set([40]));
  const minutes = await histories.read(id, t0, end, end, 10_080);
  assert.equal(minutes.stepMs, 60_000);
  assert.deepEqual(new Set(minutes.mean['cpuPercent']?.slice(0, 60)), new Set([20]));
  assert.deepEqual(new Set(minutes.mean['cpuPercent']?.slice(60)), new Set([40]));
  const { size } = await stat(join(place.path, id));
  assert.ok(size <= 2.2 * 2 ** 20, `${size}`);
});

test('minutes have the mean and the maximum of their seconds, hours those of their minutes', async () => {
  await using place = await folder();
  const histories = await opened(place.path);
  for (let second = 0; second < 3720; second++) {
    histories.record(look(t0 + second * 1000, { cpuPercent: second % 60 === 0 ? 100 : 0 }));
    if (second % 600 === 0) await histories.close();
  }
  const end = t0 + 3720_000;
  const minutes = await histories.read(id, end - 2 * hour, end, end, 10_080);
  assert.deepEqual(minutes.mean['cpuPercent']?.filter((value) => value !== null).length, 62);
  assert.equal(minutes.mean['cpuPercent']?.at(-1), 1.667);
  assert.equal(minutes.max['cpuPercent']?.at(-2), 100);
  const hours = await histories.read(id, end - 30 * 24 * hour, end, end, 10_080);
  assert.equal(hours.stepMs, hour);
  assert.deepEqual(
    hours.mean['cpuPercent']?.filter((value) => value !== null),
    [1.667, 1.667],
  );
  assert.deepEqual(
    hours.max['cpuPercent']?.filter((value) => value !== null),
    [100, 100],
  );
  await histories.close();
});

test('a daemon that was killed in the middle of a minute loses ten seconds at most, and the minute has what was before and after', async () => {
  await using place = await folder();
  const killed = await opened(place.path);
  for (let second = 0; second < 30; second++) killed.record(look(t0 + second * 1000, { cpuPercent: 10 }));
  await killed.close(); // what a batch writes; the rest is what the kill loses
  for (let second = 30; second < 35; second++) killed.record(look(t0 + second * 1000, { cpuPercent: 99 }));
  const next = await opened(place.path);
  for (let second = 40; second < 60; second++) next.record(look(t0 + second * 1000, { cpuPercent: 40 }));
  await next.close();
  next.record(look(t0 + 60_000, { cpuPercent: 7 }));
  await next.close();
  const minutes = await next.minutes(id, ['cpuPercent'], t0, t0);
  assert.deepEqual(minutes.cpuPercent, [22], '30 seconds of 10 and 20 of 40');
});

test('a minute that no daemon closed is closed by the next one', async () => {
  await using place = await folder();
  const killed = await opened(place.path);
  for (let second = 0; second < 60; second++) killed.record(look(t0 + second * 1000, { cpuPercent: 30 }));
  await killed.close();
  const next = await opened(place.path);
  next.record(look(t0 + 3 * hour, { cpuPercent: 1 }));
  await next.close();
  assert.deepEqual(await next.minutes(id, ['cpuPercent'], t0, t0), { cpuPercent: [30] });
  const hours = await next.read(id, t0 - 30 * 24 * hour, t0 + 3 * hour + 1, t0 + 3 * hour + 1, 10_080);
  assert.equal(hours.mean['cpuPercent']?.at(-4), 30);
});

test('a slot that was written in part is like one that is empty', async () => {
  await using place = await folder();
  const histories = await opened(place.path);
  for (let second = 0; second < 20; second++) histories.record(look(t0 + second * 1000, { cpuPercent: 5 }));
  await histories.close();
  const file = await open(join(place.path, id), 'r+');
  await file.write(Buffer.from([0xff]), 0, 1, slotOffset(rings.second, t0 / 1000 + 3) + 10);
  await file.close();
  const values = await cpu(await opened(place.path), t0, t0 + 20_000);
  assert.deepEqual(
    values.map((value, index) => (value === null ? index : -1)).filter((index) => index >= 0),
    [3],
  );
});

test('a file that is something else is begun anew, and a full disk is reported and ends nothing', async () => {
  await using place = await folder();
  await writeFile(join(place.path, id), 'x'.repeat(10_000));
  const histories = await opened(place.path);
  for (let second = 0; second < 12; second++) histories.record(look(t0 + second * 1000, { cpuPercent: 5 }));
  await histories.close();
  assert.equal((await cpu(histories, t0, t0 + 12_000)).length, 12);

  let problems = 0;
  const broken = new Histories(join(place.path, 'absent', 'folder'), () => problems++);
  for (let second = 0; second < 30; second++) broken.record(look(t0 + second * 1000, { cpuPercent: 5 }));
  await broken.close();
  assert.equal(problems, 1);
});

test('a clock that is set back neither repeats nor breaks anything', async () => {
  await using place = await folder();
  const histories = await opened(place.path);
  for (const second of [10, 11, 5, 11, 12]) histories.record(look(t0 + second * 1000, { cpuPercent: second }));
  await histories.close();
  assert.deepEqual(
    (await cpu(histories, t0, t0 + 13_000)).filter((value) => value !== null),
    [10, 11, 12],
  );
});

test('the history of a VM goes with it, and what nobody knows is removed at the start', async () => {
  await using place = await folder();
  const histories = await opened(place.path);
  for (let second = 0; second < 12; second++) histories.record(look(t0 + second * 1000, { cpuPercent: 5 }));
  await histories.close();
  await writeFile(join(place.path, 'gone'), '');
  await new Histories(place.path, never).open((vm) => vm === id);
  assert.deepEqual((await readdir(place.path)).sort(), ['host', id]);
  await histories.remove(id);
  assert.deepEqual(await readdir(place.path), ['host']);
});

test('points combine intervals: never more than asked for, and the maxima of all of them', async () => {
  await using place = await folder();
  const histories = await opened(place.path);
  for (let second = 0; second < 100; second++) histories.record(look(t0 + second * 1000, { cpuPercent: second === 55 ? 90 : 10 }));
  for (const points of [1, 7, 10, 24, 100]) {
    const { at, max, stepMs } = await histories.read(id, t0, t0 + 100_000, t0 + 100_000, points);
    assert.ok(at.length <= points + 1, `${points}: ${at.length}`);
    assert.equal(Math.max(...(max['cpuPercent'] ?? []).map((value) => value ?? 0)), 90);
    assert.ok(at.every((time, index) => index === 0 || time - (at[index - 1] ?? 0) === stepMs));
  }
});

test('the finest ring that reaches back is read', () => {
  assert.equal(ringFor(t0 - hour, t0).tier, 'second');
  assert.equal(ringFor(t0 - 2 * hour, t0).tier, 'minute');
  assert.equal(ringFor(t0 - 7 * 24 * hour, t0).tier, 'minute');
  assert.equal(ringFor(t0 - 8 * 24 * hour, t0).tier, 'hour');
});
