// The second factor: time-based one-time codes (RFC 6238, SHA-1, 6 digits, 30 s, what every authenticator knows) and recovery codes. A code counts one step
// early or late and only once: the used step is kept, and no older one counts after it.
import { randomBytes } from 'node:crypto';
import { Secret, TOTP } from 'otpauth';
import { hashOf } from '../secret.ts';

const periodS = 30;
const recoveryCount = 10;
/** Base 32 without letters that are misread. */
const alphabet = 'abcdefghjkmnpqrstvwxyz0123456789';

const totpOf = (secret: string, label = '') =>
  new TOTP({ issuer: 'Vivarium', label, algorithm: 'SHA1', digits: 6, period: periodS, secret: Secret.fromBase32(secret) });

/** 160 bits, as RFC 4226 recommends, in base 32. */
export const newTotpSecret = (): string => new Secret({ size: 20 }).base32;

/** What an authenticator reads from a QR code. */
export const totpUri = (secret: string, user: string): string => totpOf(secret, user).toString();

/**
 * The step that a code belongs to; null: it is wrong, or its step is not after the last used one.
 * @param now ms since 1970
 */
export function totpStep(secret: string, code: string, lastStep: number, now: number): number | null {
  const delta = totpOf(secret).validate({ token: code, timestamp: now, window: 1 });
  if (delta === null) return null;
  const step = Math.floor(now / 1000 / periodS) + delta;
  return step > lastStep ? step : null;
}

/** 80 bits each: enough that a plain hash of one cannot be searched. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: recoveryCount }, () =>
    Array.from(randomBytes(16), (byte) => alphabet[byte & 31])
      .join('')
      .replace(/(.{4})(?!$)/g, '$1-'),
  );
}

export const hashRecoveryCode = (code: string): string => hashOf(code.toLowerCase().replace(/[^a-z0-9]/g, ''));
