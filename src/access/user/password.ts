// Passwords: argon2id with 64 MiB, 3 passes, 1 lane (RFC 9106, second choice, with less parallelism), kept as a PHC string. At most two hashes are computed
// at a time, so that sign-ins cannot take the host's memory and processors.
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { VivError } from '../../contract/errors.ts';

const cost = { memory: 65_536, passes: 3, parallelism: 1, tagLength: 32 } as const;
const atOnce = 2;
/** Each waits about 0.25 s for the two before it: more than this and the answer would come too late. */
const mostWaiting = 64;

let running = 0;
const waiting: (() => void)[] = [];

/** @throws unavailable when too many sign-ins wait */
async function inTurn<T>(act: () => Promise<T>): Promise<T> {
  if (running >= atOnce) {
    if (waiting.length >= mostWaiting) throw new VivError('unavailable', 'too many sign-ins are under way; try again in a few seconds');
    await new Promise<void>((resolve) => waiting.push(resolve));
  } else running++;
  try {
    return await act();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

const derive = (password: string, nonce: Buffer, { memory, passes, parallelism, tagLength }: { [K in keyof typeof cost]: number }) =>
  inTurn(
    () =>
      new Promise<Buffer>((resolve, reject) =>
        argon2(
          'argon2id',
          // The same password typed on another keyboard may be composed differently.
          { message: password.normalize('NFKC'), nonce, memory, passes, parallelism, tagLength },
          (error, tag) => (error ? reject(error) : resolve(tag)),
        ),
      ),
  );

export async function hashPassword(password: string): Promise<string> {
  const nonce = randomBytes(16);
  const tag = await derive(password, nonce, cost);
  return `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${base64(nonce)}$${base64(tag)}`;
}

/** A hash that no password has: what a password is compared with for an unknown user, at the same cost. */
const nobody = `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${base64(randomBytes(16))}$${base64(randomBytes(32))}`;

/** @param kept the PHC string; null: there is none, and the answer is false after the same time */
export async function verifyPassword(password: string, kept: string | null): Promise<boolean> {
  const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(kept ?? nobody);
  if (!match) throw new VivError('internal', 'a password hash in the store cannot be read');
  const [, memory, passes, parallelism, nonce = '', tag = ''] = match;
  const expected = Buffer.from(tag, 'base64');
  const found = await derive(password, Buffer.from(nonce, 'base64'), {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    tagLength: expected.length,
  });
  return timingSafeEqual(found, expected) && kept !== null;
}

/** PHC strings have no padding. */
function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
