// Names of nftables objects. A user's name never gets into a script: a digest of it does, so that the same name is always the same object. Names of
// interfaces are checked strictly.
import { createHash } from 'node:crypto';
import { VivError } from '../../contract/errors.ts';

/** Of both tables, in a namespace that has no others. */
export const tableName = 'vivarium';
/** The NFLOG group that verdicts are logged to. */
export const logGroup = 1;

const known = new Map<string, string>();

/** KIND_DIGEST, the digest of the parts. */
export function named(kind: string, ...parts: readonly string[]): string {
  const key = JSON.stringify([kind, ...parts]);
  const before = known.get(key);
  if (before !== undefined) return before;
  if (known.size > 20_000) known.clear();
  const name = `${kind}_${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
  known.set(key, name);
  return name;
}

/** An interface's name in quotes. */
export function quoted(name: string, what: string): string {
  if (!/^[a-z][a-z0-9_.-]{0,14}$/i.test(name))
    throw new VivError('invalid', `${what} is not a valid name of an interface: ${JSON.stringify(name)}`);
  return `"${name}"`;
}
