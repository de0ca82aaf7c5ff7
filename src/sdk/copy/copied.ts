import type { ExecResult } from '../exec.ts';

/** The VM at the other end of a copy. */
export interface CopyVm {
  readonly id: string;
  readonly name: string;
  exec(command: readonly string[], options?: { signal?: AbortSignal }): Promise<Pick<ExecResult, 'exitCode'>>;
}

export interface CopyOptions {
  signal?: AbortSignal;
  /** Bytes of file content so far, and the total where it is known. */
  onProgress?: (doneBytes: number, totalBytes: number | null) => void;
}

export interface Copied {
  files: number;
  bytes: number;
  /** `NAME: reason` of each entry that was left out: FIFOs, devices and sockets. */
  skipped: string[];
}
