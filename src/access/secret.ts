// Secrets that Vivarium makes: 256 random bits behind a prefix that says what kind it is (and lets secret scanners find it). Only their hash is kept; with
// that much randomness a plain SHA-256 cannot be searched, and a look-up by hash needs no comparison in constant time.
import { hash, randomBytes } from 'node:crypto';

const prefixes = { session: 'vivs_', token: 'vivt_', ticket: 'vivk_', link: 'vivl_' } as const;
type SecretKind = keyof typeof prefixes;

export const newSecret = (kind: SecretKind): string => prefixes[kind] + randomBytes(32).toString('base64url');
export const hashOf = (secret: string): string => hash('sha256', secret, 'hex');

/** What kind of secret a text is by its form; undefined: none that Vivarium made. */
export function kindOf(secret: string): SecretKind | undefined {
  if (!/^viv[stkl]_[A-Za-z0-9_-]{43}$/.test(secret)) return undefined;
  return (Object.keys(prefixes) as SecretKind[]).find((kind) => secret.startsWith(prefixes[kind]));
}
