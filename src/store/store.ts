// The store room: durable state. It owns the interface (this file), its implementation for one host (sqlite.ts), and the migration of older
// state (migration/). What a key means is known to the room that writes it.
//
//   transaction: guards hold ──> all puts and deletes, durable, one revision ──> watches
//                one does not ─> StoreConflict, nothing written
//
// An etcd implementation has to pass the same conformance suite unchanged.

export interface Entry {
  readonly key: string;
  readonly value: unknown;
  /** Revision of the transaction that wrote it. Grows with every commit of the store, never repeats. */
  readonly revision: number;
}

/** What must hold for a transaction to commit: the key is at this revision, or absent (0). */
export interface Guard {
  readonly key: string;
  readonly revision: number;
}

export interface Transaction {
  readonly guards?: readonly Guard[];
  /** Values are JSON. A put with a lease is deleted when the lease ends. */
  readonly puts?: readonly { readonly key: string; readonly value: unknown; readonly lease?: string }[];
  readonly deletes?: readonly string[];
}

export type Change =
  | { readonly type: 'put'; readonly key: string; readonly value: unknown; readonly revision: number }
  | { readonly type: 'delete'; readonly key: string; readonly revision: number };

export interface Lease {
  readonly id: string;
  /** Extends it by its time to live; throws StoreLeaseLost when it has ended. */
  keepAlive(): Promise<void>;
  /** Ends it now; its keys are deleted. */
  revoke(): Promise<void>;
}

export interface Store {
  get(key: string): Promise<Entry | undefined>;
  /** Entries whose key begins with `prefix`, in the order of their keys (bytes). `after` is exclusive. */
  list(prefix: string, options?: { after?: string; limit?: number; reverse?: boolean }): Promise<Entry[]>;
  /** All or nothing, durable when it returns. Throws StoreConflict when a guard does not hold. */
  commit(transaction: Transaction): Promise<{ revision: number }>;
  /**
   * Changes after `fromRevision` (after this call, by default), in order, none missed; ends with the signal or the store.
   * Throws StoreCompacted when they reach further back than the store remembers: list again and watch from there.
   */
  watch(prefix: string, options: { fromRevision?: number; signal: AbortSignal }): AsyncIterable<Change>;
  /** The revision of the last commit. */
  revision(): Promise<number>;
  lease(ttlMs: number): Promise<Lease>;
  close(): Promise<void>;
}

/** A guard did not hold: `key` was changed in the meantime. Read it again and decide anew. */
export class StoreConflict extends Error {
  override readonly name = 'StoreConflict';
  readonly key: string;
  constructor(key: string) {
    super(`${key} was changed by someone else`);
    this.key = key;
  }
}

export class StoreLeaseLost extends Error {
  override readonly name = 'StoreLeaseLost';
}

/** The changes asked for are no longer remembered (a store remembers the latest few thousand since it was opened). */
export class StoreCompacted extends Error {
  override readonly name = 'StoreCompacted';
  constructor(revision: number) {
    super(`changes after revision ${revision} are no longer remembered; list again and watch from there`);
  }
}

/** The store's disk is full; nothing was written. */
export class StoreFull extends Error {
  override readonly name = 'StoreFull';
}
