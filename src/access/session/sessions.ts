// Sessions: an opaque secret each, kept as its hash (key `access/session/<hash>`). One ends at sign-out, 12 hours after its last use, 7 days after sign-in,
// when its user is disabled or removed, and when the user's password changes.
import type { Logger } from 'pino';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';
import { Time } from '../../contract/field.ts';
import { Session } from '../../contract/session.ts';
import { newId } from '../../host/id.ts';
import type { Store } from '../../store/store.ts';
import { hashOf, newSecret } from '../secret.ts';
import { type Commit, Table, type Write, write } from '../table.ts';
import type { LastUse } from './last-use.ts';

const idleMs = 12 * 3_600_000;
const longestMs = 7 * 24 * 3_600_000;
const mostOfOneUser = 100;

const SessionRecord = Session.omit({ user: true, current: true, lastUsedAt: true, expiresAt: true }).extend({
  userId: z.string(),
  endsAt: Time,
});
export type SessionRecord = z.infer<typeof SessionRecord>;
export type SignInMethod = SessionRecord['method'];

export interface SignInFrom {
  readonly address: string | null;
  /** What the client calls itself. */
  readonly client: string | null;
}

export class Sessions {
  readonly #table: Table<SessionRecord>;
  readonly #uses: LastUse;
  readonly #now: () => number;

  private constructor(table: Table<SessionRecord>, uses: LastUse, now: () => number) {
    this.#table = table;
    this.#uses = uses;
    this.#now = now;
  }

  /** Keys of records that cannot be read. */
  get unreadable(): readonly string[] {
    return this.#table.unreadable;
  }

  static async open(store: Store, uses: LastUse, now: () => number, log: Logger): Promise<Sessions> {
    return new Sessions(await Table.open(store, 'access/session/', SessionRecord, log), uses, now);
  }

  /** The write that makes a session, and its secret. Sessions that have ended go in the same transaction. */
  begin(
    userId: string,
    method: SignInMethod,
    { address, client }: SignInFrom,
  ): { secret: string; session: SessionRecord; writes: Write[] } {
    const now = this.#now();
    const secret = newSecret('session');
    const session: SessionRecord = {
      ...{ id: newId(), userId, method, address, client: client?.slice(0, 200) ?? null },
      ...{ createdAt: now, endsAt: now + longestMs },
    };
    const own = this.#table.entries().filter(([, one]) => one.userId === userId);
    const surplus = own
      .sort(([, one], [, other]) => this.lastUsedAt(one) - this.lastUsedAt(other))
      .slice(0, Math.max(0, own.length - mostOfOneUser + 1));
    const over = this.#table.entries().filter(([, one]) => this.#ended(one));
    const gone = new Set([...surplus, ...over].map(([key]) => key));
    return { secret, session, writes: [this.#table.put(hashOf(secret), session), ...[...gone].map((key) => this.#table.drop(key))] };
  }

  /** The session that a secret opens; undefined: none, or it has ended. */
  find(secret: string): SessionRecord | undefined {
    const record = this.#table.get(hashOf(secret));
    if (!record || this.#ended(record)) return undefined;
    this.#uses.touch(record.id);
    return record;
  }

  /** Whether it has not ended: asked for each event of a stream. */
  isOpen(id: string): boolean {
    const record = this.#table.find(id);
    return record !== undefined && !this.#ended(record);
  }

  list(): SessionRecord[] {
    return this.#table.all().filter((record) => !this.#ended(record));
  }

  lastUsedAt({ id, createdAt }: SessionRecord): number {
    return this.#uses.of(id) ?? createdAt;
  }

  expiresAt(session: SessionRecord): number {
    return Math.min(this.lastUsedAt(session) + idleMs, session.endsAt);
  }

  /** @param of only a session of this user; null: of anyone. @throws not_found */
  async end(id: string, of: string | null, commit: Commit): Promise<void> {
    const found = this.#table.entries().find(([, session]) => session.id === id && (of === null || session.userId === of));
    if (!found) throw new VivError('not_found', `there is no session ${id}; viv session ls lists them`);
    await write(commit, this.#table.drop(found[0]));
  }

  /** Writes that end a user's sessions. @param spare the one that stays */
  endAllOf(userId: string, spare?: string | null): Write[] {
    const own = this.#table.entries().filter(([, session]) => session.userId === userId && session.id !== spare);
    return own.map(([key]) => this.#table.drop(key));
  }

  #ended(record: SessionRecord): boolean {
    return this.expiresAt(record) <= this.#now();
  }
}
