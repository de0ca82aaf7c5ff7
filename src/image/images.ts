// The images of this host: what is here, by which names, and how one gets here or leaves.
import type { StoredImage } from './image.ts';

/** Told by daemon.ts: which machines use an image (their names). */
export type UsedBy = (digest: string) => string[];

export interface Images {
  list(): Promise<StoredImage[]>;
  /** By name, digest or unique digest prefix; throws not_found (with what the catalog offers), ambiguous. */
  find(ref: string): Promise<StoredImage>;
}
