// SSH host keys for a guest, made on the host: a fork must not show the keys of the VM it was copied from, and making them inside
// would cost the guest its first second. Ed25519 and ECDSA take under a millisecond; RSA takes hundreds and is made only when asked for.
// Formats: PROTOCOL.key of OpenSSH (openssh-key-v1), RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4.
import { generateKeyPair, type JsonWebKey, type KeyObject, randomInt } from 'node:crypto';
import { promisify } from 'node:util';
import type { HostKey } from '../../qemu/agent/channel.ts';

const generate = promisify(generateKeyPair);
const rsaBits = 3072;
const lineCharacters = 70;
/** Unencrypted: padded to blocks of this size. */
const blockBytes = 8;

export type HostKeyType = Exclude<HostKey['type'], 'dsa'>;

/** @param comment shown behind the public key, as in root@web */
export async function generateHostKeys(comment: string, types: readonly HostKeyType[] = ['ed25519', 'ecdsa']): Promise<HostKey[]> {
  const name = comment.replace(/[^\x21-\x7e]/g, '').slice(0, 200);
  return Promise.all(types.map((type) => makers[type](name)));
}

const makers: Record<HostKeyType, (comment: string) => Promise<HostKey>> = {
  async ed25519(comment) {
    const { privateKey } = await generate('ed25519');
    const { d, x } = fields(privateKey);
    const algorithm = 'ssh-ed25519';
    const secret = [string(x), string(Buffer.concat([d, x]))];
    return { type: 'ed25519', ...files(algorithm, [string(x)], secret, comment) };
  },
  async ecdsa(comment) {
    const { privateKey } = await generate('ec', { namedCurve: 'P-256' });
    const { d, x, y } = fields(privateKey);
    const open = [string('nistp256'), string(Buffer.concat([Buffer.from([4]), x, y]))];
    return { type: 'ecdsa', ...files('ecdsa-sha2-nistp256', open, [...open, integer(d)], comment) };
  },
  async rsa(comment) {
    const { privateKey } = await generate('rsa', { modulusLength: rsaBits });
    const { n, e } = fields(privateKey);
    const blob = Buffer.concat([string('ssh-rsa'), integer(e), integer(n)]);
    // Every sshd reads this one.
    const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
    return { type: 'rsa', privateKey: pem, publicKey: publicLine('ssh-rsa', blob, comment) };
  },
};

/** `open` follows the algorithm's name in the public key, `secret` in the private one. */
function files(algorithm: string, open: readonly Buffer[], secret: readonly Buffer[], comment: string): Omit<HostKey, 'type'> {
  const blob = Buffer.concat([string(algorithm), ...open]);
  const check = uint32(randomInt(2 ** 32));
  const plain = Buffer.concat([check, check, string(algorithm), ...secret, string(comment)]);
  const padding = Buffer.from(Array.from({ length: (blockBytes - (plain.length % blockBytes)) % blockBytes }, (_, at) => at + 1));
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    string('none'), // cipher
    string('none'), // key derivation
    string(''), // its options
    uint32(1), // keys
    string(blob),
    string(Buffer.concat([plain, padding])),
  ]);
  return { privateKey: armour(whole), publicKey: publicLine(algorithm, blob, comment) };
}

function armour(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(new RegExp(`.{1,${lineCharacters}}`, 'g')) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

const publicLine = (algorithm: string, blob: Buffer, comment: string) =>
  `${[algorithm, blob.toString('base64'), comment].join(' ').trim()}\n`;

/** The numbers of a key; those that it does not have are empty. */
function fields(key: KeyObject): { d: Buffer; x: Buffer; y: Buffer; n: Buffer; e: Buffer } {
  const jwk: JsonWebKey = key.export({ format: 'jwk' });
  const bytes = (text: string | undefined) => Buffer.from(text ?? '', 'base64url');
  return { d: bytes(jwk.d), x: bytes(jwk.x), y: bytes(jwk.y), n: bytes(jwk.n), e: bytes(jwk.e) };
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function string(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

/** A positive number: without zeroes before it, but for one where its first bit would make it negative. */
function integer(bytes: Buffer): Buffer {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const short = bytes.subarray(from);
  return string((short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), short]) : short);
}
