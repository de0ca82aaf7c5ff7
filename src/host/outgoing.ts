// Requests that the daemon sends because someone asked it to (downloads, webhooks, sign-in by another service, forwarding of the audit log): only to public
// addresses, unless the host's configuration allows others, so that nobody who may create an alert reaches what only this host can reach: its own services, its
// network, a cloud's metadata service. Every address that a name resolves to is checked at the moment of the connection, so a name that resolves differently
// later does not bypass the check.
import { lookup } from 'node:dns';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { VivError } from '../contract/errors.ts';

/** IPv4 networks that are not public (IANA's special-purpose registry). */
const privateV4: readonly (readonly [string, number, string])[] = [
  ['0.0.0.0', 8, 'this host'],
  ['10.0.0.0', 8, 'private'],
  ['100.64.0.0', 10, 'shared by a provider'],
  ['127.0.0.0', 8, 'loopback'],
  ['169.254.0.0', 16, 'link-local'],
  ['172.16.0.0', 12, 'private'],
  ['192.0.0.0', 24, 'reserved'],
  ['192.0.2.0', 24, 'reserved'],
  ['192.168.0.0', 16, 'private'],
  ['198.18.0.0', 15, 'reserved'],
  ['198.51.100.0', 24, 'reserved'],
  ['203.0.113.0', 24, 'reserved'],
  ['224.0.0.0', 3, 'multicast or reserved'],
];
/** Of IPv6 only 2000::/3 is public, and these parts of it are not, or lead to IPv4 addresses. */
const privateV6: readonly (readonly [string, number, string])[] = [
  ['2001::', 23, 'reserved'],
  ['2001:db8::', 32, 'reserved'],
  ['2002::', 16, 'a way to IPv4 addresses'],
];

export interface OutgoingPolicy {
  /** Why an address may not be reached: `loopback`, `private`; null: it may. */
  refused(address: string): string | null;
}

/** For what the host's owner asks for on the host itself, who reaches every address without the daemon. */
export const anyAddress: OutgoingPolicy = { refused: () => null };

/**
 * @param allowed addresses and networks that may be reached although they are not public: `10.1.0.0/16`, `127.0.0.1`, `fd00::/8`
 * @throws VivError invalid where one of them is neither
 */
export function outgoingPolicy(allowed: readonly string[]): OutgoingPolicy {
  const exceptions = new BlockList();
  for (const text of allowed) {
    const [address = '', bits] = text.split('/');
    const family = isIP(address);
    const most = family === 4 ? 32 : 128;
    const prefix = bits === undefined ? most : /^\d+$/.test(bits) ? Number(bits) : Number.NaN;
    if (family === 0 || !(prefix <= most))
      throw new VivError('invalid', `VIV_OUTGOING_ALLOW: ${JSON.stringify(text)} is neither an address nor a network such as 10.1.0.0/16`);
    exceptions.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
  }
  return {
    refused(address) {
      const plain = unmapped(address);
      const family = isIP(plain);
      if (family === 0) return 'not an address';
      if (exceptions.check(plain, family === 4 ? 'ipv4' : 'ipv6')) return null;
      if (family === 6 && !within(plain, '2000::', 3)) return 'not public';
      const table = family === 4 ? privateV4 : privateV6;
      return table.find(([network, bits]) => within(plain, network, bits))?.[2] ?? null;
    },
  };
}

/** VIV_OUTGOING_ALLOW, separated by commas. @throws VivError invalid */
export const outgoingPolicyFrom = (env: Readonly<Record<string, string | undefined>>): OutgoingPolicy =>
  outgoingPolicy((env['VIV_OUTGOING_ALLOW'] ?? '').split(',').flatMap((text) => (text.trim() === '' ? [] : [text.trim()])));

function within(address: string, network: string, bits: number): boolean {
  const list = new BlockList();
  const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(network, bits, family);
  return list.check(address, family);
}

/** An IPv4 address written as IPv6, in every spelling: `::ffff:127.0.0.1`, `::ffff:7f00:1`. */
function unmapped(address: string): string {
  if (isIP(address) !== 6 || !within(address, '::ffff:0:0', 96)) return address;
  const tail = new URL(`http://[${address}]`).hostname.slice('[::ffff:'.length, -1);
  const [high = '0', low = '0'] = tail.split(':');
  const number = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return number.flatMap((half) => [half >> 8, half & 255]).join('.');
}

const refusal = (host: string, address: string, why: string) =>
  new VivError(
    'forbidden',
    `cannot connect to ${host}: its address ${address} is ${why}. Allow it with VIV_OUTGOING_ALLOW=${address} in the daemon’s environment`,
  );

/** As node:dns' lookup, and fails where one of the addresses is refused; the connection is made to those it answers. */
export function guardedLookup(policy: OutgoingPolicy): LookupFunction {
  return (host, options, done) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, []);
      const bad = addresses.flatMap(({ address }) => {
        const why = policy.refused(address);
        return why === null ? [] : [refusal(host, address, why)];
      })[0];
      if (bad) return done(bad, []);
      const [first] = addresses;
      if (options.all === true || first === undefined) done(null, addresses);
      else done(null, first.address, first.family);
    });
  };
}

export interface OutgoingRequest {
  readonly policy: OutgoingPolicy;
  readonly signal: AbortSignal;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** A certificate authority that is trusted instead of the system's, PEM. */
  readonly ca?: string | undefined;
}

/** @throws VivError forbidden where a literal address is refused: it is never looked up */
export function checkLiteral(hostname: string, host: string, policy: OutgoingPolicy): void {
  const literal = hostname.replace(/^\[|\]$/g, '');
  const why = isIP(literal) === 0 ? null : policy.refused(literal);
  if (why !== null) throw refusal(host, literal, why);
}

/**
 * One request by http or https. Redirects are not followed: each is a request of its own, checked again.
 * @throws VivError forbidden where the address is refused; what the system says where it cannot be reached
 */
export async function sendRequest(
  url: string,
  { policy, signal, method = 'GET', headers = {}, body, ca }: OutgoingRequest,
): Promise<IncomingMessage> {
  const { protocol, hostname, host } = new URL(url);
  checkLiteral(hostname, host, policy);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = (protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    ...{ method, signal, agent: false, lookup: guardedLookup(policy), ...(ca === undefined ? {} : { ca }) },
    headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
  });
  request.on('error', reject);
  request.on('response', resolve);
  request.end(body);
  return promise;
}

/** As fetch without redirects; a body that ends early fails. @throws as sendRequest */
export async function fetchOutgoing(url: string, options: OutgoingRequest): Promise<Response> {
  const message = await sendRequest(url, options);
  const { statusCode: status = 500, statusMessage: statusText = '', rawHeaders } = message;
  const headers = new Headers();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2)
    headers.append(rawHeaders[index] as string, rawHeaders[index + 1] as string);
  const empty = status === 204 || status === 205 || status === 304;
  if (empty) message.resume();
  return new Response(empty ? null : (Readable.toWeb(message) as ReadableStream<Uint8Array>), { status, statusText, headers });
}

export interface PostOptions {
  readonly policy: OutgoingPolicy;
  /** For name resolution, connection and answer together. */
  readonly timeoutMs: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly ca?: string | undefined;
}

export interface PostAnswer {
  readonly status: number;
  /** The beginning of the answer, 1 KiB at most. */
  readonly text: string;
}

const mostAnswerBytes = 64 * 1024;
const keptBytes = 1024;

/**
 * Sends a JSON document. Redirects are returned as answers, not followed.
 * @throws VivError forbidden where the address is refused; timeout; unavailable where it cannot be reached
 */
export async function postJson(
  url: string,
  body: string,
  { policy, timeoutMs, headers, signal: given, ca }: PostOptions,
): Promise<PostAnswer> {
  const { host } = new URL(url);
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = given ? AbortSignal.any([deadline, given]) : deadline;
  try {
    const type = { 'content-type': 'application/json' };
    return await answerOf(await sendRequest(url, { policy, signal, method: 'POST', headers: { ...headers, ...type }, body, ca }));
  } catch (error) {
    given?.throwIfAborted();
    if (deadline.aborted) throw new VivError('timeout', `${host} did not answer within ${timeoutMs / 1000} s`, { cause: error });
    if (error instanceof VivError) throw error;
    throw new VivError('unavailable', `cannot reach ${host}: ${(error as Error).message || (error as NodeJS.ErrnoException).code}`, {
      cause: error,
    });
  }
}

function answerOf(response: IncomingMessage): Promise<PostAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<PostAnswer>();
  let text = '';
  let bytes = 0;
  const end = () => resolve({ status: response.statusCode ?? 0, text });
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (text.length < keptBytes) text += chunk.toString('latin1').slice(0, keptBytes - text.length);
    if (bytes > mostAnswerBytes) {
      end();
      response.destroy(); // only the beginning of the answer is used
    }
  });
  response.on('end', end);
  response.on('error', reject);
  return promise;
}
