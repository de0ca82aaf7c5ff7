// Where an alert is delivered, as it is written: `log`, `https://…` (a webhook), `command:/usr/local/bin/page`.
import { z } from 'zod';
import { VivError } from './errors.ts';
import { readableBy } from './readable.ts';

export type Destination =
  | { readonly kind: 'log' }
  | { readonly kind: 'webhook'; readonly url: string }
  | { readonly kind: 'command'; readonly path: string };

/** @throws invalid with a sentence that says how a destination is written */
export function parseDestination(text: string): Destination {
  const wrong = (why: string) =>
    new VivError(
      'invalid',
      `${JSON.stringify(text)} ${why}; write a destination like log, https://example.org/hook or command:/usr/local/bin/page`,
    );
  if (text === 'log') return { kind: 'log' };
  if (/^https?:\/\//i.test(text)) {
    if (!URL.canParse(text)) throw wrong('is not a URL');
    return { kind: 'webhook', url: text };
  }
  if (text.startsWith('command:')) {
    const path = text.slice('command:'.length);
    if (!path.startsWith('/') || path.includes('\0')) throw wrong('names no program by its absolute path');
    return { kind: 'command', path };
  }
  throw wrong('is not a destination');
}

/** As it is shown: the path and the credentials of a webhook often are its secret. */
export function shownDestination(text: string): string {
  const destination = parseDestination(text);
  if (destination.kind !== 'webhook') return text;
  const { protocol, host } = new URL(destination.url);
  return `${protocol}//${host}/…`;
}

export const DestinationText = z.string().max(2000, 'a destination has at most 2,000 characters').superRefine(readableBy(parseDestination));
