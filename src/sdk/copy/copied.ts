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
