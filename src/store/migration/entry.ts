// What a migration rewrites.

/** Where a state directory's files are. */
export interface Directories {
  readonly stateDirectory: string;
  readonly run: string;
}

export interface StoredEntry {
  readonly key: string;
  readonly value: unknown;
}
