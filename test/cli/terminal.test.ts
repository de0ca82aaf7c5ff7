// The real terminal, through a pty: raw mode, resize, keys, the detach key, questions, and the terminal given back at the end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IPty, spawn } from '@lydell/node-pty';
import { fakeServer, vm, Work } from './fake-server.ts';
import { cleanEnv, entry } from './run-viv.ts';

interface Terminal {
  readonly pty: IPty;
  shows(text: string): Promise<string>;
  readonly ended: Promise<number>;
}

/** `command` in a pty under a shell, which prints the terminal's settings before and after it. */
function terminal(stateDirectory: string, args: readonly string[]): Terminal {
  const script =
    'stty -a | tr ";" "\\n" | grep -E "icanon|isig"; "$@"; echo "code=$?"; stty -a | tr ";" "\\n" | grep -E "icanon|isig"; echo END';
  const pty = spawn('/bin/sh', ['-c', script, 'sh', process.execPath, entry, ...args], {
    cols: 80,
    rows: 24,
    env: { ...cleanEnv(stateDirectory), TERM: 'xterm' },
  });
  let text = '';
  const looks = new Set<() => void>();
  const ended = new Promise<number>((resolve) => pty.onExit(({ exitCode }) => resolve(exitCode)));
  pty.onData((data) => {
    text += data;
    for (const look of looks) look();
  });
  return {
    pty,
    ended,
    shows: (desired) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${JSON.stringify(desired)} was not shown in ${JSON.stringify(text)}`)), 60_000);
        const look = () => {
          if (!text.includes(desired)) return;
          clearTimeout(timer);
          looks.delete(look);
          resolve(text);
        };
        looks.add(look);
        look();
      }),
  };
}

const settings = (text: string) => text.split(/\r?\n/).filter((line) => /icanon|isig/.test(line));

test('shell passes keys, Ctrl-C and resizes inside, ends with its code and gives the terminal back', async () => {
  await using server = await fakeServer();
  const inside: unknown[] = [];
  server.onSocket('/v1/vms/web/exec', (socket) => {
    socket.send(JSON.stringify({ type: 'started', pid: 7 }));
    socket.send(Buffer.concat([Buffer.from([1]), Buffer.from('guest$ ')]));
    socket.on('message', (bytes: Buffer, binary: boolean) => {
      if (!binary) {
        const message = JSON.parse(bytes.toString()) as { type: string; columns: number };
        inside.push(message);
        if (message.type === 'resize') socket.send(Buffer.concat([Buffer.from([1]), Buffer.from(`columns=${message.columns}\r\n`)]));
        return;
      }
      inside.push(bytes.subarray(1).toString());
      if (bytes.includes(3)) socket.send(Buffer.concat([Buffer.from([1]), Buffer.from('interrupted inside\r\n')]));
      if (bytes.includes(4)) socket.send(JSON.stringify({ type: 'exit', exitCode: 5, signal: null }));
    });
  });
  const { pty, shows, ended } = terminal(server.stateDirectory, ['shell', 'web']);
  try {
    await shows('guest$ ');
    assert.deepEqual(server.asked[0]?.body, { command: [], stdin: true, terminal: { rows: 24, columns: 80, type: 'xterm' } });
    pty.resize(132, 40);
    await shows('columns=132');
    pty.write('\u0003');
    await shows('interrupted inside');
    pty.write('\u0004');
    const text = await shows('END\r\n');
    await ended;
    assert.match(text, /code=5/);
    const lines = settings(text);
    assert.ok(lines.length >= 2 && lines.length % 2 === 0);
    assert.deepEqual(lines.slice(lines.length / 2), lines.slice(0, lines.length / 2));
    assert.deepEqual(
      inside.filter((seen) => (seen as { type?: string }).type === 'signal'),
      [],
    );
  } finally {
    pty.kill();
  }
});

test('a shell whose daemon dies gives the terminal back and says so', async () => {
  await using server = await fakeServer();
  server.onSocket('/v1/vms/web/exec', (socket) => {
    socket.send(JSON.stringify({ type: 'started', pid: 7 }));
    socket.send(Buffer.concat([Buffer.from([1]), Buffer.from('guest$ ')]));
    socket.on('message', () => socket.terminate());
  });
  const { pty, shows, ended } = terminal(server.stateDirectory, ['shell', 'web']);
  try {
    await shows('guest$ ');
    pty.write('x');
    const text = await shows('END\r\n');
    await ended;
    assert.match(text, /viv: the connection to the daemon/);
    assert.match(text, /code=1/);
    const lines = settings(text);
    assert.deepEqual(lines.slice(lines.length / 2), lines.slice(0, lines.length / 2));
  } finally {
    pty.kill();
  }
});

test('console announces its detach key, shows what was said before and leaves by it', async () => {
  await using server = await fakeServer();
  const typed: string[] = [];
  server.onSocket('/v1/vms/web/console', (socket) => {
    socket.send(Buffer.concat([Buffer.from([1]), Buffer.from('earlier\r\nlogin: ')]));
    socket.on('message', (bytes: Buffer, binary: boolean) => {
      if (!binary) return;
      typed.push(bytes.subarray(1).toString());
      socket.send(Buffer.concat([Buffer.from([1]), Buffer.from('echo ')]));
    });
  });
  const { pty, shows, ended } = terminal(server.stateDirectory, ['console', 'web']);
  try {
    await shows('detach with Ctrl-]');
    await shows('login: ');
    pty.write('\u0003r');
    await shows('echo ');
    pty.write('oot\u001d');
    const text = await shows('END\r\n');
    await ended;
    assert.equal(typed.join('').slice(0, 2), '\u0003r');
    assert.match(text, /detached from web; the VM keeps running/);
    assert.match(text, /code=0/);
  } finally {
    pty.kill();
  }
});

test('rm asks on a terminal and does nothing without a yes', async () => {
  await using server = await fakeServer();
  server.on('DELETE /v1/vms/web', () => new Work([{ state: 'done', output: { id: 'a', name: 'web' } }]));
  const no = terminal(server.stateDirectory, ['rm', 'web']);
  try {
    await no.shows('Remove web with its disks and snapshots? [y/N] ');
    no.pty.write('n\r');
    assert.match(await no.shows('END\r\n'), /nothing was changed/);
    assert.equal(server.asked.length, 0);
  } finally {
    no.pty.kill();
  }
  const yes = terminal(server.stateDirectory, ['rm', 'web']);
  try {
    await yes.shows('[y/N] ');
    yes.pty.write('y\r');
    assert.match(await yes.shows('END\r\n'), /web\r\ncode=0/);
  } finally {
    yes.pty.kill();
  }
  const sure = terminal(server.stateDirectory, ['rm', '--yes', 'web']);
  try {
    assert.ok(!(await sure.shows('END\r\n')).includes('[y/N]'));
  } finally {
    sure.pty.kill();
  }
});

test('progress is one line that is rewritten and gone at the end', async () => {
  await using server = await fakeServer();
  const end = Promise.withResolvers<void>();
  server.on(
    'POST /v1/vms/web/start',
    () =>
      new Work(
        [
          { state: 'running', progress: { message: 'starting QEMU', done: 1, total: 2, unit: 'steps' } },
          { state: 'done', output: vm() },
        ],
        end.promise,
      ),
  );
  const { pty, shows, ended } = terminal(server.stateDirectory, ['start', 'web']);
  try {
    await shows('\r\u001b[Kstart web: starting QEMU, 50% (1 of 2)');
    end.resolve();
    const text = await shows('END\r\n');
    await ended;
    assert.match(text, /\r\u001b\[Kweb\r\ncode=0/);
  } finally {
    pty.kill();
  }
});

test('a table on a terminal is cut to its width', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/vms', () => [vm({ image: 'i'.repeat(150) })]);
  const { pty, shows } = terminal(server.stateDirectory, ['ls']);
  try {
    const text = await shows('END\r\n');
    for (const line of text.split('\r\n').filter((each) => /^(NAME|web)/.test(each))) assert.ok(line.length <= 80, line);
    assert.match(text, /…/);
  } finally {
    pty.kill();
  }
});
