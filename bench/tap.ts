// A tap between the daemon and a guest's agent: passes every byte on at once and remembers when the last ones went which way.
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { connect, createServer } from 'node:net';

export interface Tap {
  /** Forgets what was seen. */
  reset(): void;
  /** From the first byte to the guest until the last one from it. */
  guestMs(): number;
  close(): void;
}

/** Takes the place of the socket; existing connections stay. */
export async function tap(socket: string): Promise<Tap> {
  const real = `${socket}.real`;
  renameSync(socket, real);
  let firstIn = Number.NaN;
  let lastOut = Number.NaN;
  const server = createServer((host) => {
    const guest = connect(real);
    host.on('data', (bytes) => {
      guest.write(bytes);
      if (Number.isNaN(firstIn)) firstIn = performance.now();
    });
    guest.on('data', (bytes) => {
      lastOut = performance.now();
      host.write(bytes);
    });
    for (const [one, other] of [
      [host, guest],
      [guest, host],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
  });
  server.listen(socket);
  await once(server, 'listening');
  return {
    reset: () => {
      firstIn = lastOut = Number.NaN;
    },
    guestMs: () => lastOut - firstIn,
    close: () => {
      server.close();
      server.unref();
    },
  };
}
