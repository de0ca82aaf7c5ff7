// A small daemon for the tests of the command line: HTTP and WebSocket on the socket that `viv` looks for in its VIV_HOME.
// It answers what a test tells it to and remembers what it was asked.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type WebSocket from 'ws';
import { WebSocketServer } from 'ws';
import type { ErrorCode } from '../../src/contract/errors.ts';
import { errorCodes } from '../../src/contract/errors.ts';
import type { Task } from '../../src/contract/task.ts';
import { pathsOf } from '../paths-of.ts';

export interface Asked {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

type Answer = unknown | Fault | Work;

/** An error as the API sends it. */
export class Fault {
  readonly code: ErrorCode;
  readonly message: string;
  constructor(code: ErrorCode, message: string) {
    this.code = code;
    this.message = message;
  }
}

/** A task: what its follower is told, one after the other; `until` holds back the last one. */
export class Work {
  readonly states: Partial<Task>[];
  readonly until: Promise<unknown>;
  constructor(states: Partial<Task>[], until: Promise<unknown> = Promise.resolve()) {
    this.states = states;
    this.until = until;
  }
}

export interface FakeServer extends AsyncDisposable {
  readonly stateDirectory: string;
  readonly asked: Asked[];
  /** `GET /v1/vms`: answered with what the function returns. */
  on(what: string, answer: (asked: Asked) => Answer): void;
  onSocket(path: string, talk: (socket: WebSocket, input: Record<string, unknown>) => void): void;
}

export async function fakeServer(): Promise<FakeServer> {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'viv-cli-'));
  const paths = pathsOf({ VIV_HOME: stateDirectory }, process.getuid?.() ?? 0);
  await mkdir(dirname(paths.apiSocket), { recursive: true });
  const asked: Asked[] = [];
  const answers = new Map<string, (asked: Asked) => Answer>();
  const talks = new Map<string, (socket: WebSocket, input: Record<string, unknown>) => void>();
  const works = new Map<string, Work>();

  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const url = new URL(request.url ?? '/', 'http://viv');
    const text = Buffer.concat(chunks).toString('utf8');
    const seen: Asked = {
      method: request.method ?? '',
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      body: text === '' ? undefined : JSON.parse(text),
    };
    // The SDK asks for the status by a connection of its own to see that someone is there; that is no question of a test.
    const knock = seen.path === '/v1/host/status' && request.headers.connection === 'close';
    if (!knock) asked.push(seen);
    const work = works.get(seen.path);
    if (work) return await follow(work, seen.path.split('/')[3] ?? '', response);
    const answer =
      answers.get(`${seen.method} ${seen.path}`)?.(seen) ?? new Fault('not_found', `there is no ${seen.method} ${seen.path} here`);
    const send = (status: number, value: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (answer instanceof Fault) return send(errorCodes[answer.code].status, { code: answer.code, message: answer.message });
    if (answer instanceof Work) {
      const id = `t${works.size + 1}`;
      works.set(`/v1/tasks/${id}/follow`, answer);
      return send(202, { ...task, id, ...answer.states[0] });
    }
    if (Buffer.isBuffer(answer)) return response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(answer);
    send(200, answer);
  };
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, request) => {
    const path = new URL(request.url ?? '/', 'http://viv').pathname;
    socket.once('message', (first: Buffer) => {
      const input = JSON.parse(first.toString('utf8')) as Record<string, unknown>;
      asked.push({ method: 'WS', path, query: new URLSearchParams(), body: input });
      talks.get(path)?.(socket, input);
    });
  });
  await new Promise<void>((resolve) => server.listen(paths.apiSocket, resolve));
  return {
    stateDirectory,
    asked,
    on: (what, answer) => void answers.set(what, answer),
    onSocket: (path, talk) => void talks.set(path, talk),
    async [Symbol.asyncDispose]() {
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(stateDirectory, { recursive: true, force: true });
      if (!paths.run.startsWith(stateDirectory)) await rm(paths.run, { recursive: true, force: true });
    },
  };
}

async function follow(work: Work, id: string, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const [index, state] of work.states.entries()) {
    if (index === work.states.length - 1) await work.until;
    response.write(`id: ${index + 1}\ndata: ${JSON.stringify({ ...task, id, ...state })}\n\n`);
  }
  response.end('event: end\ndata: {}\n\n');
}

const task: Task = {
  id: 't',
  operation: 'vm.start',
  target: null,
  state: 'running',
  steps: [],
  progress: null,
  log: [],
  output: null,
  error: null,
  undoError: null,
  recovered: false,
  createdAt: 0,
  endedAt: null,
};

/** A VM as the API shows it. */
export const vm = (changes: Record<string, unknown> = {}) => ({
  id: 'aaaaaaaaaaaa',
  name: 'web',
  state: 'running',
  stateReason: null,
  activity: null,
  image: 'tiny',
  imageDigest: 'd'.repeat(64),
  arch: 'x86_64',
  cpus: 1,
  memoryBytes: 256 * 2 ** 20,
  firmware: 'bios',
  accel: 'auto',
  accelInUse: 'tcg',
  disks: [],
  nics: [],
  boot: ['disk'],
  restart: 'no',
  autostart: false,
  removeOnStop: false,
  snapshots: null,
  pending: [],
  pid: 4242,
  agent: { connected: true, version: '1', kind: 'vivarium' },
  createdAt: 0,
  startedAt: Date.now() - 61_000,
  ...changes,
});
