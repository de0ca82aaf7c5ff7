// What a web page of another site could have a browser send. Every request that changes something and every WebSocket must come from this origin: browsers
// say so in Sec-Fetch-Site, older ones in Origin. Programs send neither, and no cookie.
import type { IncomingMessage } from 'node:http';
import { VivError } from '../contract/errors.ts';

const safe: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * @param byCookie whether the browser sent the credential by itself
 * @throws forbidden
 */
export function checkSameOrigin({ method = 'GET', headers }: IncomingMessage, byCookie: boolean): void {
  if (safe.has(method) && headers.upgrade === undefined) return;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin') throw refused(`Sec-Fetch-Site is ${String(site).slice(0, 40)}`);
  const { origin, host } = headers;
  if (origin !== undefined && origin !== `https://${host}`) throw refused('its Origin is another one');
  if (byCookie && site === undefined && origin === undefined) throw refused('it has neither Sec-Fetch-Site nor Origin');
}

const refused = (why: string) =>
  new VivError('forbidden', `the request comes from another site (${why}); it is refused to keep that site from acting in your name`);

/** A form of another site can send no JSON without asking first (CORS), so nothing else is taken. @throws invalid */
export function checkContentType({ method = 'GET', headers }: IncomingMessage, transport: string): void {
  if (method === 'GET' || method === 'DELETE') return;
  const type = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  const needed = transport === 'upload' ? 'application/octet-stream' : 'application/json';
  if (type !== needed) throw new VivError('invalid', `this request needs Content-Type: ${needed}`);
}
