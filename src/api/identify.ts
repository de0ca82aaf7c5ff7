// Who sends a request: the process at the other end of the host's socket, or the holder of a secret in a header, a cookie or a WebSocket's subprotocol. Never
// anything in a URL.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Access, Ticket } from '../access/access.ts';
import type { Identity } from '../access/identity.ts';
import { VivError } from '../contract/errors.ts';
import { type PeerUid, peerUid } from './peer.ts';

export const cookieName = '__Host-viv-session';

/** Lax would send it with navigations from other sites; Strict does not. */
export function cookieFor(secret: string | null): string {
  return `${cookieName}=${secret ?? ''}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${secret === null ? 0 : 7 * 24 * 3600}`;
}

export interface Caller {
  readonly identity: Identity;
  /** True where a browser sends the credential by itself. */
  readonly byCookie: boolean;
}

export class Identifier {
  readonly #access: Access;
  readonly #uidOf: PeerUid;
  readonly #uids = new WeakMap<Socket, number | null>();

  constructor(access: Access, uidOf: PeerUid = peerUid()) {
    this.#access = access;
    this.#uidOf = uidOf;
  }

  /** @throws unauthenticated for a wrong secret, forbidden for a local account that is no user */
  identify(request: IncomingMessage): Caller {
    const address = addressOf(request);
    const { authorization } = request.headers;
    if (authorization !== undefined) {
      const secret = /^Bearer ([\w-]{1,100})$/i.exec(authorization)?.[1];
      const identity = secret === undefined ? undefined : this.#access.bySecret(secret, address);
      if (!identity)
        throw new VivError('unauthenticated', 'the token or session is unknown, has expired or was revoked; sign in again: viv login');
      return { identity, byCookie: false };
    }
    if (address === null) {
      const identity = this.#access.byUid(this.#uid(request.socket));
      if (!identity)
        throw new VivError(
          'forbidden',
          'this daemon belongs to another user; ask its owner to add you (viv user create NAME --uid UID), or run your own',
        );
      return { identity, byCookie: false };
    }
    const cookie = cookieIn(request);
    if (cookie === undefined) return { identity: this.#access.nobody(address), byCookie: false };
    const identity = this.#access.bySecret(cookie, address);
    // An old cookie must not keep anybody from signing in.
    return identity ? { identity, byCookie: true } : { identity: this.#access.nobody(address), byCookie: false };
  }

  /** What a WebSocket's ticket stands for, once. */
  ticket(request: IncomingMessage): Ticket | undefined {
    const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(',');
    const secret = offered.map((one) => /^ticket\.(\S+)$/.exec(one.trim())?.[1]).find((one) => one !== undefined);
    return secret === undefined ? undefined : this.#access.tickets.redeem(secret);
  }

  /** A process keeps its uid, so the kernel is asked once for a connection. */
  #uid(socket: Socket): number | null {
    let uid = this.#uids.get(socket);
    if (uid === undefined) {
      uid = this.#uidOf(socket);
      this.#uids.set(socket, uid);
    }
    return uid;
  }
}

/** Of the network; null: the host's socket. */
export function addressOf({ socket }: IncomingMessage): string | null {
  return (socket as TLSSocket).encrypted === true ? (socket.remoteAddress ?? 'unknown') : null;
}

function cookieIn({ headers }: IncomingMessage): string | undefined {
  for (const part of (headers.cookie ?? '').split(';')) {
    const at = part.indexOf('=');
    if (part.slice(0, at).trim() === cookieName) return part.slice(at + 1).trim() || undefined;
  }
  return undefined;
}
