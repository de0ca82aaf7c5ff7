// The socket file: made for its owner only; one that nobody answers on any more is removed, one that somebody answers on is not.
import { chmod, lstat, unlink } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { VivError } from '../contract/errors.ts';

/** A daemon that was killed while it started a program leaves its socket to the half-started child for a moment. */
const patienceMs = 500;

/** Makes way for a new socket at `path`. Throws in_use when another daemon answers there. */
export async function clearSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return;
  if (!found.isSocket())
    throw new VivError('in_use', `cannot listen on ${path}: it exists and is not a socket. Remove it, or choose another VIV_HOME`);
  const deadline = Date.now() + patienceMs;
  while ((await answers(path)) && Date.now() < deadline) await delay(20);
  if (await answers(path)) throw new VivError('in_use', `another daemon answers on ${path}; stop it with: viv down`);
  await unlink(path).catch(() => {});
}

/** 0600; for root 0660, so that an administrator may give it to a group. */
export async function protectSocket(path: string): Promise<void> {
  await chmod(path, process.getuid?.() === 0 ? 0o660 : 0o600);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => done(true));
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'));
  });
}
