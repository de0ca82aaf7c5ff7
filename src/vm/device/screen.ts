// The screen: QEMU's VNC server on a Unix socket. It shares the screen among all who are connected.
import { connect, type Socket } from 'node:net';
import { VivError } from '../../contract/errors.ts';

const connectMs = 5000;

/** Connects to it; the caller destroys the socket. @throws qemu_failed */
export function openScreen(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.setTimeout(connectMs, () => socket.connecting && socket.destroy(new Error(`no answer within ${connectMs / 1000} s`)));
    socket.once('error', (error) =>
      reject(new VivError('qemu_failed', `the screen cannot be reached: ${error.message}`, { cause: error })),
    );
    socket.once('connect', () => {
      socket.setTimeout(0);
      resolve(socket);
    });
  });
}
