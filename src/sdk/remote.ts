// A daemon on another computer: where it is, what its certificate has to be signed by, and the secret that says who asks.
import type { ConnectionOptions, DetailedPeerCertificate } from 'node:tls';
import { VivError } from '../contract/errors.ts';

export interface Remote {
  /** `https://host:8843` */
  readonly url: string;
  /** Secret of a session or an API token. */
  readonly token?: string | undefined;
  /** Certificate (PEM) that is trusted for this host, instead of those that the system trusts. */
  readonly ca?: string | undefined;
}

/** Where a connection goes: a path of a Unix socket, or a remote. */
export type Endpoint = string | Remote;

export const nameOf = (endpoint: Endpoint): string => (typeof endpoint === 'string' ? endpoint : new URL(endpoint.url).origin);

const handshakeMs = 10_000;

/** What TLS needs to know. A pinned certificate that is not self-signed is an anchor of its own. */
export const tlsOptions = ({ ca }: Remote): ConnectionOptions => (ca === undefined ? {} : { ca, ...{ allowPartialTrustChain: true } });

/** @throws invalid */
export function checkUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:') throw new VivError('invalid', `${text} is not the address of a host; write it like https://host:8843`);
  if (url.port === '' && !/^https:\/\/[^/]*:443(\/|$|#)/.test(text)) url.port = '8843';
  return url;
}

export interface Presented {
  /** The topmost certificate of the chain, PEM: a host's own authority, or that of its certificate file. */
  readonly ca: string;
  /** SHA-256, `AB:CD:…` */
  readonly fingerprint: string;
  /** Whether the system trusts it, so that nothing has to be pinned. */
  readonly trusted: boolean;
}

/** What a server presents, no matter who signed it. Nothing secret is sent. @throws unavailable */
export async function presentedBy(url: URL, signal?: AbortSignal): Promise<Presented> {
  const { connect } = await import('node:tls');
  const name = url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    const failed = (why: string, cause?: unknown) =>
      reject(
        new VivError('unavailable', `no daemon answers on ${url.origin}: ${why}; check the address, and viv up --listen on that host`, {
          cause,
        }),
      );
    const socket = connect({
      host: name,
      port: Number(url.port || 443),
      servername: /^[\d.:]+$/.test(name) ? '' : name,
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    });
    const abort = () => socket.destroy(signal?.reason as Error);
    signal?.addEventListener('abort', abort, { once: true });
    socket.setTimeout(handshakeMs, () => socket.destroy(new Error(`no answer within ${handshakeMs / 1000} s`)));
    socket.once('error', (error) => (signal?.aborted ? reject(signal.reason) : failed(error.message, error)));
    socket.once('close', () => signal?.removeEventListener('abort', abort));
    socket.once('secureConnect', () => {
      let top: DetailedPeerCertificate = socket.getPeerCertificate(true);
      for (let depth = 0; depth < 10 && top.issuerCertificate && top.issuerCertificate.fingerprint256 !== top.fingerprint256; depth++)
        top = top.issuerCertificate;
      const pem = `-----BEGIN CERTIFICATE-----\n${top.raw.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
      resolve({ ca: pem, fingerprint: top.fingerprint256, trusted: socket.authorized });
      socket.destroy();
    });
  });
}
