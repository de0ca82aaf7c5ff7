// A QEMU process is recorded, found again, told from others, and never left behind.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { spawn } from '../../src/host/process/spawn.ts';
import { findProcess, findProcesses, lastWords } from '../../src/qemu/process.ts';
import { connectQmp } from '../../src/qemu/qmp.ts';
import { type FakeQemu, startFake } from './start-fake.ts';

let folder: string;
const started: FakeQemu[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-process-'));
});
afterEach(async () => {
  for (const { process } of started.splice(0)) await process.kill();
  await rm(folder, { recursive: true, force: true });
});

async function fake(options: Parameters<typeof startFake>[1] = {}): Promise<FakeQemu> {
  const one = await startFake(folder, options);
  started.push(one);
  return one;
}

test('a process is found by its file, and without its file by its marker', async () => {
  const { process, marker, processFile } = await fake();
  assert.equal((await findProcess(marker, processFile))?.pid, process.pid);
  await rm(processFile);
  assert.equal((await findProcess(marker, processFile))?.pid, process.pid);
  await writeFile(processFile, '{"pid": 1');
  assert.equal((await findProcess(marker, processFile))?.pid, process.pid, 'a damaged file is as none');
});

test('a file that names another process, which got the same pid later, finds nothing', async () => {
  const { process, marker, processFile } = await fake();
  const recorded = JSON.parse(await readFile(processFile, 'utf8'));
  await process.kill();
  await writeFile(processFile, JSON.stringify({ ...recorded, pid: globalThis.process.pid }));
  assert.equal(await findProcess(marker, processFile), null);
});

test('one that is about to execute another program is found all the same', async () => {
  const patient = ['-e', 'setTimeout(() => {}, 60_000)', '--', '-name'];
  for (let nth = 0; nth < 40; nth++) {
    const marker = `vivtest-${folder.slice(-6)}-${nth}`;
    const chain = spawn('env', [...Array(8).fill('env'), globalThis.process.execPath, ...patient, `process=${marker}`], {
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    const ended = once(chain, 'exit');
    try {
      assert.equal((await findProcesses(marker))[0]?.process.pid, chain.pid);
    } finally {
      chain.kill('SIGKILL');
      await ended;
    }
  }
});

test('every process of a prefix is found, and no name of a VM can pretend to be another', async () => {
  const one = await fake({ name: 'one' });
  const two = await fake({ name: 'two', guestName: `x,process=${one.marker}` });
  const prefix = one.marker.slice(0, -'one'.length);
  const found = new Map((await findProcesses(prefix)).map(({ marker, process }) => [marker, process.pid]));
  assert.deepEqual(
    found,
    new Map([
      [one.marker, one.process.pid],
      [two.marker, two.process.pid],
    ]),
  );
});

test('a process runs in a session of its own, and goes before us when memory is short', async () => {
  const { process, logFile } = await fake();
  const stat = (await readFile(`/proc/${process.pid}/stat`, 'utf8')).replace(/^.*\) /s, '').split(' ');
  assert.equal(Number(stat[3]), process.pid, 'session');
  assert.equal((await readFile(`/proc/${process.pid}/oom_score_adj`, 'utf8')).trim(), '200');
  assert.equal(await lastWords(logFile, process.logOffset), '');
});

test('how it ended is told, and its own last words', async () => {
  const { process, logFile } = await fake({ control: { dieAtStart: 'could not open \u001b[31mdisk\u0007: no such file' } });
  assert.deepEqual(await process.exited, { code: 1, signal: null });
  assert.equal(await lastWords(logFile, process.logOffset), 'could not open  [31mdisk : no such file');
});

test('last words are only those of this run, and few of them', async () => {
  const log = join(folder, 'long.log');
  await writeFile(log, `an earlier run\n${Array.from({ length: 5000 }, (_, line) => `line ${line}\n`).join('')}`);
  assert.equal(await lastWords(log, 'an earlier run\n'.length), 'line 4995; line 4996; line 4997; line 4998; line 4999');
  assert.equal(await lastWords(join(folder, 'none'), 0), '');
});

test('a process that is not our child is seen to end', async () => {
  const { process, marker, processFile, qmpPath } = await fake();
  const adopted = await findProcess(marker, processFile);
  assert.ok(adopted);
  const qmp = await connectQmp(qmpPath, { timeoutMs: 60_000 });
  await qmp.execute('quit');
  assert.deepEqual(await process.exited, { code: 0, signal: null });
  // The promise alone keeps no program running, so a timer does.
  const patience = setTimeout(() => {}, 60_000);
  assert.equal(await adopted.exited, null);
  clearTimeout(patience);
  qmp.close();
  assert.equal(await findProcess(marker, processFile), null);
});

test('a process that cannot be recorded is not left running', async () => {
  const taken = join(folder, 'taken');
  await mkdir(join(taken, 'not-empty'), { recursive: true });
  await assert.rejects(startFake(folder, { name: 'lost', processFile: taken }));
  assert.deepEqual(await findProcesses(`vivtest-${folder.slice(-6)}-lost`), []);
});

test('killing what has ended does nothing', async () => {
  const { process } = await fake();
  await process.kill();
  assert.deepEqual(await process.exited, { code: null, signal: 'SIGKILL' });
  await process.kill();
});
