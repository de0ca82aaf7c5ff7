// The network listener: HTTPS with TLS 1.3 in front of the same routes as the host's socket. What was asked for is in the store (key `access/listener`), so
// that the next daemon listens again.

import { X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { z } from 'zod';
import {
  type CertificateSource,
  certificateFiles,
  ownCertificate,
  type ServedCertificate,
  watchCertificate,
} from '../access/certificate/server-certificate.ts';
import { VivError } from '../contract/errors.ts';
import { defaultPort, type Listener } from '../contract/listener.ts';
import type { ListenerControl } from '../operations/services.ts';
import type { Store, Transaction } from '../store/store.ts';
import { answerMalformed, answerRefusals } from './malformed.ts';

const key = 'access/listener';
/** Unused connections beyond this are refused; each costs about 50 KB. */
const mostConnections = 2000;

const Asked = z.object({
  listen: z.string(),
  names: z.array(z.string()),
  certificate: z.string().optional(),
  key: z.string().optional(),
});
type Asked = z.infer<typeof Asked>;

export interface NetworkListenerOptions {
  /** The routes. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly store: Store;
  readonly log: Logger;
  /** Where the host's own certificate is kept. */
  readonly folder: string;
  readonly clock: { now(): number; after(ms: number, act: () => void): () => void };
}

interface Open {
  readonly server: Server;
  readonly source: CertificateSource;
  readonly watch: { stop(): void };
  state: Listener;
}

export class NetworkListener implements ListenerControl {
  readonly #options: NetworkListenerOptions;
  #open: Open | null = null;

  constructor(options: NetworkListenerOptions) {
    this.#options = options;
  }

  /** Listens again where the last daemon did. What is wrong with it is logged: the host's socket serves all the same. */
  async restore(): Promise<void> {
    const asked = Asked.safeParse((await this.#options.store.get(key))?.value);
    if (!asked.success) return;
    await this.#listen(asked.data).catch((error: unknown) =>
      this.#options.log.error({ err: error }, 'the network listener could not be opened; viv up --listen tries again'),
    );
  }

  state(): Listener | null {
    return this.#open?.state ?? null;
  }

  /** @throws in_use, not_found, invalid */
  async open(asked: Asked, commit: (transaction: Transaction) => Promise<unknown>): Promise<Listener> {
    if ((asked.certificate === undefined) !== (asked.key === undefined))
      throw new VivError('invalid', 'a certificate file needs its key file, and a key file its certificate; give both or neither');
    const state = await this.#listen(asked);
    await commit({ puts: [{ key, value: asked }] });
    return state;
  }

  async close(commit: (transaction: Transaction) => Promise<unknown>): Promise<void> {
    await commit({ deletes: [key] });
    await this.stop();
  }

  /** Ends its connections at once; what was asked for stays. */
  async stop(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    if (!open) return;
    open.watch.stop();
    const closed = new Promise<void>((resolve) => open.server.close(() => resolve()));
    open.server.closeAllConnections();
    await closed;
  }

  async #listen(asked: Asked): Promise<Listener> {
    const { clock, folder, log } = this.#options;
    const { address, port } = addressOf(asked.listen);
    const source =
      asked.certificate === undefined || asked.key === undefined
        ? ownCertificate(folder, [...asked.names, ...(isEverywhere(address) ? [] : [address])], () => clock.now())
        : certificateFiles(asked.certificate, asked.key);
    const certificate = await source.current();
    const server = this.#server(certificate);
    const before = this.#open;
    // The same port: the old one has to make room first.
    if (before?.state.port === port) await this.stop();
    await listening(server, address, port);
    if (before && this.#open === before) await this.stop();
    const bound = (server.address() as AddressInfo).port;
    const shown = asked.names[0] ?? (isEverywhere(address) ? hostname() : address);
    const url = `https://${shown.includes(':') ? `[${shown}]` : shown}:${bound}`;
    const stateOf = ({ chain, fingerprint }: ServedCertificate): Listener => ({
      ...{ address, port: bound, url, fingerprint },
      certificateUntil: Date.parse(new X509Certificate(chain).validTo),
    });
    const open: Open = {
      server,
      source,
      watch: watchCertificate(
        source,
        certificate,
        clock,
        (renewed) => {
          server.setSecureContext({ cert: renewed.chain, key: renewed.key, minVersion: 'TLSv1.3' });
          open.state = stateOf(renewed);
          log.info({ until: open.state.certificateUntil }, 'the network listener has a new certificate');
        },
        (error) => log.error({ err: error }, 'the certificate could not be read or renewed; the last one stays in use'),
      ),
      state: stateOf(certificate),
    };
    this.#open = open;
    return open.state;
  }

  #server({ chain, key: privateKey }: ServedCertificate): Server {
    const server = createServer({
      cert: chain,
      key: privateKey,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: 10_000,
      headersTimeout: 15_000,
      // Uploads take their time; routes have deadlines of their own.
      requestTimeout: 0,
      keepAliveTimeout: 60_000,
      maxHeaderSize: 32 * 1024,
    });
    server.maxConnections = mostConnections;
    server.on('request', this.#options.handle);
    server.on('upgrade', this.#options.upgrade);
    // A scanner's rubbish is nobody's problem.
    server.on('tlsClientError', () => {});
    server.on('clientError', answerMalformed);
    answerRefusals(server);
    return server;
  }
}

/** Port 0: a free one. @throws invalid */
export function addressOf(text: string): { address: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]*))(?::(\d+))?$/.exec(text);
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (!match || port > 65_535) throw new VivError('invalid', `${text} is not an address and a port; write it like 0.0.0.0:${defaultPort}`);
  return { address: match[1] ?? (match[2] || '::'), port };
}

const isEverywhere = (address: string) => address === '::' || address === '0.0.0.0';

function listening(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE')
        reject(new VivError('in_use', `port ${port} of ${address} is in use by another program; choose another port`, { cause: error }));
      else if (error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN')
        reject(new VivError('invalid', `${address} is neither an address of this host nor a name of one`, { cause: error }));
      else if (error.code === 'EADDRNOTAVAIL' || error.code === 'EINVAL')
        reject(new VivError('invalid', `this host does not have the address ${address}`, { cause: error }));
      else if (error.code === 'EACCES')
        reject(new VivError('forbidden', `port ${port} may only be opened by root; choose one above 1023`, { cause: error }));
      else reject(error);
    });
    server.listen(port, address, () => resolve());
  });
}
