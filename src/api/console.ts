// The web console's files. They are public: what they show is asked of the API, which has its gate. Files below assets/ are named by their content and kept
// by browsers for ever; the page itself is asked for again each time and carries the nonce of its styles.
import { randomBytes } from 'node:crypto';
import { extname } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { addressOf } from './identify.ts';

/** Reads a file of the built console; null: there is none. */
export type ConsoleFile = (path: string) => Promise<Buffer | null>;

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};
/** What the build's page has in place of the nonce. */
const placeholder = '__NONCE__';

const notBuilt = 'The web console is not part of this installation. In a checkout, ./viv web builds it.\n';

/** Scripts from here only, styles from here or with the nonce of this page, and nothing that frames it. */
const policy = (nonce: string): string =>
  [
    ...["default-src 'none'", "script-src 'self'", `style-src 'self' 'nonce-${nonce}'`, "img-src 'self' data: blob:", "font-src 'self'"],
    ...["connect-src 'self'", "manifest-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"],
  ].join('; ');

/** Whether a browser asks for a page; everything else gets the API's answers. */
export const asksForPage = (request: FastifyRequest): boolean =>
  addressOf(request.raw) !== null &&
  request.method === 'GET' &&
  !request.url.startsWith('/v1/') &&
  (request.headers.accept ?? '').includes('text/html');

/** The page, whatever its path: the console's own router reads it. */
export async function sendPage(reply: FastifyReply, read: ConsoleFile): Promise<FastifyReply> {
  const page = await read('index.html');
  if (page === null) return reply.code(404).header('content-type', 'text/plain; charset=utf-8').send(notBuilt);
  const nonce = randomBytes(18).toString('base64');
  return reply
    .header('content-type', types['.html'])
    .header('content-security-policy', policy(nonce))
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-opener-policy', 'same-origin')
    .send(page.toString('utf8').replaceAll(placeholder, nonce));
}

export function addConsole(
  scope: FastifyInstance,
  read: ConsoleFile,
  missing: (reply: FastifyReply, request: FastifyRequest) => unknown,
): void {
  const send = async (request: FastifyRequest, reply: FastifyReply, path: string, keep: boolean) => {
    const accepts = String(request.headers['accept-encoding'] ?? '');
    const compressed = /\bbr\b/.test(accepts) ? await read(`${path}.br`) : null;
    const bytes = compressed ?? (await read(path));
    if (addressOf(request.raw) === null || bytes === null) return missing(reply, request);
    if (compressed) reply.header('content-encoding', 'br');
    return reply
      .header('content-type', types[extname(path)] ?? 'application/octet-stream')
      .header('cache-control', keep ? 'public, max-age=31536000, immutable' : 'no-cache')
      .header('vary', 'accept-encoding')
      .send(bytes);
  };
  scope.get('/assets/:file', (request, reply) => send(request, reply, `assets/${(request.params as { file: string }).file}`, true));
  for (const file of ['favicon.svg', 'theme.js']) scope.get(`/${file}`, (request, reply) => send(request, reply, file, false));
}
