// Runs the agent as a program of this host, behind a port like QEMU's: one Unix socket for the host, one for the guest. The host may
// disconnect and reconnect while the guest's side stays open, as with a daemon that is killed and restarted.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { AgentConnection } from '../../../src/qemu/agent/channel.ts';
import { connectAgent } from '../../../src/qemu/agent/client.ts';
import { buildAgent } from './build-agent.ts';
import type { Sandbox } from './sandbox.ts';

export interface Port {
  readonly folder: string;
  /** Where the host connects. */
  readonly path: string;
  /** Where the agent connects. */
  readonly guestPath: string;
  /** What the agent has written to standard error, where sanitizers report. */
  errors(): string;
  startAgent(inside?: Sandbox): ChildProcess;
}

/** A port without an agent yet. What the host sends is buffered, as in QEMU. */
export async function openPort(t: TestContext): Promise<Port> {
  const folder = await mkdtemp(join(tmpdir(), 'viv-agent-'));
  const path = join(folder, 'host.sock');
  const guestPath = join(folder, 'guest.sock');
  let errorText = '';
  let host: Socket | null = null;
  let guest: Socket | null = null;
  const sockets = new Set<Socket>();
  const programs = new Set<ChildProcess>();
  const waiting: Buffer[] = [];
  const listen = (at: string, take: (socket: Socket) => void) =>
    new Promise<Server>((resolve) => {
      const server: Server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        take(socket);
      }).listen(at, () => resolve(server));
    });
  const servers = await Promise.all([
    listen(path, (socket) => {
      host = socket;
      socket.on('data', (bytes: Buffer) => {
        if (!guest) waiting.push(bytes);
        else if (!guest.write(bytes)) {
          socket.pause();
          guest.once('drain', () => socket.resume());
        }
      });
      socket.once('close', () => {
        if (host === socket) host = null;
        guest?.resume();
      });
    }),
    listen(guestPath, (socket) => {
      guest = socket;
      for (const bytes of waiting.splice(0)) socket.write(bytes);
      socket.on('data', (bytes: Buffer) => {
        if (host && !host.write(bytes)) {
          socket.pause();
          host.once('drain', () => socket.resume());
        }
      });
      socket.once('close', () => {
        if (guest === socket) guest = null;
      });
    }),
  ]);
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
    await Promise.all(
      [...programs].map((program) => program.exitCode ?? program.signalCode ?? new Promise((ended) => program.once('exit', ended))),
    );
    await rm(folder, { recursive: true, force: true });
    assert.equal(errorText, '', 'the agent reported errors');
  });
  return {
    folder,
    path,
    guestPath,
    errors: () => errorText,
    startAgent(inside) {
      // No leak check at exit: a channel's process is a fork that ends by exec or _exit.
      const env = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0', ...inside?.env };
      const [command = '', ...given] = [...(inside?.command ?? []), buildAgent(), '--socket', guestPath];
      const program = spawn(command, given, { stdio: ['ignore', 'ignore', 'pipe'], env });
      program.stderr?.setEncoding('utf8').on('data', (text: string) => {
        errorText += text;
      });
      programs.add(program);
      return program;
    },
  };
}

export async function connectTo(t: TestContext, port: Port): Promise<AgentConnection> {
  const agent = await connectAgent(port.path, { signal: AbortSignal.timeout(60_000) });
  t.after(() => agent.close());
  return agent;
}

/** A running agent, and a connection to it. */
export async function startAgent(t: TestContext): Promise<{ agent: AgentConnection; port: Port }> {
  const port = await openPort(t);
  port.startAgent();
  return { agent: await connectTo(t, port), port };
}
