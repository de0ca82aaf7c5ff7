// `vm.exec`: a command (or a login shell) inside a VM, its streams carried both ways.
import type { Readable } from 'node:stream';
import { VivError } from '../../contract/errors.ts';
import { ClientControl, channel } from '../../contract/stream.ts';
import { decide } from '../../vm/decide.ts';
import type { HandlerOf, Socket } from '../handler.ts';

export const handler: HandlerOf<'vm.exec'> = async (input, { services, signal }, socket) => {
  const vm = services.vms.find(input.vm);
  decide('exec', vm);
  const gone = AbortSignal.any([socket.closed, signal]);
  const agent = await vm.alive().waitForAgent(input.waitMs, gone);
  const command = agent.exec({
    command: input.command,
    env: input.env,
    ...(input.cwd === undefined ? {} : { cwd: input.cwd }),
    ...(input.user === undefined ? {} : { user: input.user }),
    ...(input.terminal === undefined ? {} : { terminal: input.terminal }),
  });
  const close = () => command.close();
  gone.addEventListener('abort', close, { once: true });
  let timedOut = false;
  const timer =
    input.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          command.close();
        }, input.timeoutMs);
  command.stdin.on('error', () => {}); // it may end without reading; `ended` reports how it ended
  if (!input.stdin) command.stdin.end();
  socket.onData((from, bytes) => {
    if (from !== channel.stdin || !input.stdin || command.stdin.writableEnded) return;
    if (bytes.length === 0) command.stdin.end();
    else if (!command.stdin.write(bytes)) {
      socket.pause();
      command.stdin.once('drain', () => socket.resume());
    }
  });
  socket.onControl((message) => {
    const control = ClientControl.parse(message);
    if (control.type === 'resize') command.resize(control.rows, control.columns);
    else command.signal(control.signal);
  });
  try {
    void command.started.then(
      (pid) => socket.control({ type: 'started', pid }),
      () => {},
    );
    const [ended] = await Promise.all([
      command.ended,
      pump(command.stdout, channel.stdout, socket),
      pump(command.stderr, channel.stderr, socket),
    ]);
    if (timedOut) throw tooLong(input.timeoutMs);
    return ended;
  } catch (error) {
    if (timedOut) throw tooLong(input.timeoutMs);
    throw error;
  } finally {
    clearTimeout(timer);
    gone.removeEventListener('abort', close);
    command.close();
  }
};

async function pump(from: Readable, to: number, socket: Socket): Promise<void> {
  try {
    for await (const bytes of from as AsyncIterable<Buffer>) await socket.send(to, bytes);
  } catch {
    // The channel ended; why is what `ended` rejects with.
  }
}

const tooLong = (timeoutMs: number | undefined) => new VivError('timeout', `the command ran longer than ${timeoutMs} ms and was killed`);
