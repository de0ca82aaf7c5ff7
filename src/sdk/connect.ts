// connect(): finds the daemon of this user (or of VIV_HOME) and starts one where none answers.
import { VivError } from '../contract/errors.ts';
import { Client } from './client.ts';
import { knock } from './knock.ts';
import { hostDirectories } from './paths.ts';

export interface ConnectOptions {
  /** The daemon's Unix socket; default: that of `stateDirectory`. No daemon is started for it. */
  socket?: string;
  /** State folder of the host (VIV_HOME). */
  stateDirectory?: string;
  /** False: do not start a daemon where none answers. */
  start?: boolean;
  /** Another computer's daemon, `https://host:8843`, with the secret of an API token or a session. No daemon is started for it. */
  url?: string;
  token?: string;
  /** Certificate (PEM) that is trusted for this host; default: what the system trusts. */
  ca?: string;
  /** SHA-256 of the certificate that the host has to present, as `viv up --listen` prints it; instead of `ca`. */
  fingerprint?: string;
  signal?: AbortSignal;
  /** Called when a daemon is being started. */
  onStart?: () => void;
  /** Called with what the user should know about how it was started. */
  onNotice?: (message: string) => void;
}

/** Throws VivError `unavailable` where no daemon answers and none could be started. */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  if (options.url !== undefined) return connectTo(options.url, options);
  const env = options.stateDirectory === undefined ? process.env : { ...process.env, VIV_HOME: options.stateDirectory };
  const paths = hostDirectories(env, process.getuid?.() ?? 0);
  const socket = options.socket ?? paths.apiSocket;
  const mayStart = options.start !== false && options.socket === undefined;
  const start = async (signal: AbortSignal | undefined) => {
    options.onStart?.();
    const { startDaemon } = await import('./start-daemon.ts');
    await startDaemon({ ...{ env, paths }, ...(signal ? { signal } : {}), ...(options.onNotice ? { onNotice: options.onNotice } : {}) });
  };
  try {
    await knock(socket, options.signal);
  } catch (error) {
    if (!mayStart || !(error instanceof VivError) || error.code !== 'unavailable') throw error;
    await start(options.signal);
  }
  return new Client(socket, mayStart ? start : undefined);
}

async function connectTo(address: string, { token, ca, fingerprint, signal }: ConnectOptions): Promise<Client> {
  const { checkUrl, presentedBy } = await import('./remote.ts');
  const url = checkUrl(address);
  let trusted = ca;
  if (fingerprint !== undefined) {
    const presented = await presentedBy(url, signal);
    if (presented.fingerprint !== fingerprint)
      throw new VivError(
        'unavailable',
        `${url.origin} presents another certificate (${presented.fingerprint}) than the one expected; check who answers there`,
      );
    trusted = presented.ca;
  }
  return new Client({ url: url.origin, token, ca: trusted });
}
