// Ids of VMs, tasks and leases.
import { randomBytes } from 'node:crypto';

/** Base 32 without i, l, o and u, which are misread. Letters first, so that the first character can be taken from them alone. */
const alphabet = 'abcdefghjkmnpqrstvwxyz0123456789';
const letters = 22;

/** 12 characters, about 59 bits of randomness: unique on a host without a registry. The first is a letter. */
export function newId(): string {
  const bytes = randomBytes(14);
  let id = alphabet[bytes.readUInt16BE(12) % letters] as string;
  for (let index = 0; index < 11; index++) id += alphabet[(bytes[index] as number) & 31];
  return id;
}
