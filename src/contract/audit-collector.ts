// Where the audit log is forwarded: a syslog server, or an HTTP collector that takes Splunk's HEC form, as a URL.
import { z } from 'zod';
import { VivError } from './errors.ts';
import { readableBy } from './readable.ts';

export type Collector =
  | { readonly kind: 'syslog'; readonly transport: 'tcp' | 'tls'; readonly host: string; readonly port: number }
  | { readonly kind: 'syslog'; readonly transport: 'unix'; readonly path: string }
  | { readonly kind: 'hec'; readonly url: string };

const ports: Readonly<Record<'tcp' | 'tls', number>> = { tcp: 514, tls: 6514 };
const written =
  'write it like syslog://host:514, syslogs://host:6514, unix:/run/collector.sock or https://host:8088/services/collector/event';

/** @throws invalid with a sentence that says how it is written */
export function parseCollector(text: string): Collector {
  const wrong = (why: string) => new VivError('invalid', `${JSON.stringify(text)} ${why}; ${written}`);
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (!path.startsWith('/') || path.includes('\0') || path.length > 107) throw wrong('names no socket by its absolute path');
    return { kind: 'syslog', transport: 'unix', path };
  }
  const [, scheme = ''] = /^(syslogs?|https?):\/\//i.exec(text) ?? [];
  if (scheme === '') throw wrong('is not a collector');
  // The parser of URLs knows the rules of hosts for http only.
  const plain = scheme.toLowerCase().startsWith('syslog') ? text.replace(/^syslogs?:/i, 'http:') : text;
  if (!URL.canParse(plain)) throw wrong('is not a URL');
  const url = new URL(plain);
  if (url.username !== '' || url.password !== '') throw wrong('has credentials in it, which belong into the token');
  if (plain === text) return { kind: 'hec', url: text };
  const transport = scheme.toLowerCase() === 'syslogs' ? 'tls' : 'tcp';
  if ((url.pathname !== '/' && url.pathname !== '') || url.search !== '') throw wrong('has a path, which syslog has not');
  // The port that stands for http is left out by the parser.
  const port = url.port !== '' ? Number(url.port) : /:80\/?$/.test(text) ? 80 : ports[transport];
  return { kind: 'syslog', transport, host: url.hostname.replace(/^\[|\]$/g, ''), port };
}

export const CollectorText = z.string().max(2000, 'a collector has at most 2,000 characters').superRefine(readableBy(parseCollector));
