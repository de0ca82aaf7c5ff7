// API tokens, kept as their hashes (key `access/token/<hash>`).
import type { Logger } from 'pino';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';
import { Time } from '../../contract/field.ts';
import { newId } from '../../host/id.ts';
import type { Store } from '../../store/store.ts';
import type { TokenLimit } from '../role/decide.ts';
import { patternSet } from '../role/permission.ts';
import { hashOf, newSecret } from '../secret.ts';
import { type Commit, Table, type Write, write } from '../table.ts';
import { Scope } from '../user/record.ts';
import type { LastUse } from './last-use.ts';

const mostOfOneUser = 200;

const TokenRecord = z.object({
  id: z.string(),
  name: z.string(),
  userId: z.string(),
  /** Null: all that the owner may. */
  permissions: z.array(z.string()).nullable(),
  scopes: z.array(Scope).nullable(),
  createdAt: Time,
  expiresAt: Time,
});
export type TokenRecord = z.infer<typeof TokenRecord>;

export class Tokens {
  readonly #table: Table<TokenRecord>;
  readonly #uses: LastUse;
  readonly #now: () => number;
  readonly #limits = new Map<string, TokenLimit>();

  private constructor(table: Table<TokenRecord>, uses: LastUse, now: () => number) {
    this.#table = table;
    this.#uses = uses;
    this.#now = now;
  }

  /** Keys of records that cannot be read. */
  get unreadable(): readonly string[] {
    return this.#table.unreadable;
  }

  static async open(store: Store, uses: LastUse, now: () => number, log: Logger): Promise<Tokens> {
    return new Tokens(await Table.open(store, 'access/token/', TokenRecord, log), uses, now);
  }

  /** @throws in_use when the user has too many */
  async create(
    given: Pick<TokenRecord, 'name' | 'userId' | 'permissions' | 'scopes' | 'expiresAt'>,
    commit: Commit,
  ): Promise<{ token: TokenRecord; secret: string }> {
    const now = this.#now();
    const expired = this.#table.entries().filter(([, one]) => one.expiresAt <= now);
    if (this.list().filter(({ userId }) => userId === given.userId).length >= mostOfOneUser)
      throw new VivError('in_use', `this user has ${mostOfOneUser} tokens already; revoke one first: viv token ls`);
    const secret = newSecret('token');
    const token: TokenRecord = { id: newId(), ...given, createdAt: now };
    await write(commit, this.#table.put(hashOf(secret), token), ...expired.map(([key]) => this.#table.drop(key)));
    return { token, secret };
  }

  /** The token that a secret is; undefined: none, or it has expired or been revoked. */
  find(secret: string): TokenRecord | undefined {
    const record = this.#table.get(hashOf(secret));
    if (!record || record.expiresAt <= this.#now()) return undefined;
    this.#uses.touch(record.id);
    return record;
  }

  /** By id; undefined where it has expired or been revoked. */
  byId(id: string): TokenRecord | undefined {
    const record = this.#table.find(id);
    return record && record.expiresAt > this.#now() ? record : undefined;
  }

  list(): TokenRecord[] {
    return this.#table.all().filter(({ expiresAt }) => expiresAt > this.#now());
  }

  lastUsedAt({ id }: TokenRecord): number | null {
    return this.#uses.of(id);
  }

  limitOf({ id, permissions, scopes }: TokenRecord): TokenLimit {
    let limit = this.#limits.get(id);
    if (!limit) {
      limit = { permissions: permissions && patternSet(permissions), scopes };
      this.#limits.set(id, limit);
    }
    return limit;
  }

  /** @param of only a token of this user; null: of anyone. @throws not_found */
  async remove(id: string, of: string | null, commit: Commit): Promise<void> {
    const found = this.#table.entries().find(([, token]) => token.id === id && (of === null || token.userId === of));
    if (!found) throw new VivError('not_found', `there is no token ${id}; viv token ls lists them`);
    await write(commit, this.#table.drop(found[0]));
    this.#limits.delete(id);
  }

  removeAllOf(userId: string): Write[] {
    return this.#table
      .entries()
      .filter(([, token]) => token.userId === userId)
      .map(([key]) => this.#table.drop(key));
  }
}
