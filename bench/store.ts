// (d) 1,000 stopped VMs: listing them all, and the state of one, through the API over its socket.
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { type Figure, median, percentile } from './measure.ts';
import { usage, waitedMs, withStateDirectory } from './state-directory.ts';

const vms = 1000;
const connections = 8;
const listRounds = 400;
const stateRequests = 10_000;

export const store = () =>
  withStateDirectory<Figure[]>(async ({ client, pid }) => {
    let next = 0;
    const from = performance.now();
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        while (next < vms) await client.create('tiny', { name: `m${next++}` });
      }),
    );
    const createdMs = performance.now() - from;
    const agent = new Agent({ keepAlive: true, maxSockets: connections });
    const get = (path: string) => answerOf(client.socket, agent, path);
    const bytes = (await get('/v1/vms')).length;
    using lists = lean(client.socket, '/v1/vms');
    for (let round = 0; round < 20; round++) await lists.ask();
    const listed: number[] = [];
    const ours: number[] = [];
    const before = usage(pid);
    for (let round = 0; round < listRounds; round++) {
      const waited = waitedMs(pid) + waitedMs(process.pid);
      const start = performance.now();
      await lists.ask();
      const took = performance.now() - start;
      listed.push(took);
      ours.push(took - (waitedMs(pid) + waitedMs(process.pid) - waited));
    }
    const after = usage(pid);
    const stateFrom = performance.now();
    let left = stateRequests;
    await Promise.all(
      Array.from({ length: connections }, async () => {
        while (left-- > 0) await get('/v1/vms/m500');
      }),
    );
    const perSecond = stateRequests / ((performance.now() - stateFrom) / 1000);
    agent.destroy();
    return [
      { name: 'making a VM, with 4 at a time', value: createdMs / vms, unit: 'ms', target: null },
      {
        name: `list of 1,000 VMs (${Math.round(bytes / 1024)} KiB), 99th percentile`,
        value: percentile(listed, 0.99),
        unit: 'ms',
        target: 15,
      },
      { name: 'the same without waiting for a CPU of the host', value: percentile(ours, 0.99), unit: 'ms', target: 15 },
      { name: 'list of 1,000 VMs, median', value: median(listed), unit: 'ms', target: null },
      { name: 'CPU time of the daemon for one list', value: (after.cpuMs - before.cpuMs) / listRounds, unit: 'ms', target: null },
      { name: 'resident memory with 1,000 VMs, after the lists', value: after.residentMiB, unit: 'MiB', target: null },
      { name: 'state of one VM, 8 connections', value: perSecond, unit: 'requests/s', target: 2000 },
    ];
  });

/**
 * GETs over one connection by a client that keeps nothing: its bytes are read into the same memory each time. One that keeps a megabyte an
 * answer collects garbage after every sixth, in threads that take both CPUs from the daemon and itself: 10 to 20 ms, which are its own.
 */
function lean(socketPath: string, path: string): { ask(): Promise<void> } & Disposable {
  let answered = Promise.withResolvers<void>();
  let left = -1;
  const take = (bytes: number, buffer: Uint8Array): boolean => {
    if (left < 0) {
      // The head is in the first piece: it is far shorter than what a socket takes at once.
      const head = Buffer.from(buffer.buffer, buffer.byteOffset, Math.min(bytes, 4096)).toString('latin1');
      const length = /^HTTP\/1\.1 200 [\s\S]*?\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1];
      if (length === undefined) answered.reject(new Error(`${path}: ${head.slice(0, 200)}`));
      left = head.indexOf('\r\n\r\n') + 4 + Number(length);
    }
    left -= bytes;
    if (left === 0) {
      left = -1;
      answered.resolve();
    }
    return true;
  };
  const socket = connect({ path: socketPath, onread: { buffer: Buffer.alloc(1 << 18), callback: take } });
  socket.on('error', (error) => answered.reject(error));
  return {
    ask: () => {
      answered = Promise.withResolvers<void>();
      socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
      return answered.promise;
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** The whole answer to a GET. */
function answerOf(socketPath: string, agent: Agent, path: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, agent, path }, (answer: IncomingMessage) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () =>
        answer.statusCode === 200 ? resolve(Buffer.concat(chunks)) : reject(new Error(`${path}: ${answer.statusCode}`)),
      );
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}
