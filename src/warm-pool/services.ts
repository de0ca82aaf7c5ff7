// What the functions of the warm-pool room work with, and the events that it emits.
import type { SnapshotServices } from '../snapshot/services.ts';
import type { WarmPoolRegistry } from './records.ts';

export interface WarmPoolServices extends SnapshotServices {
  readonly warmPools: WarmPoolRegistry;
}

export type Uses<Names extends keyof WarmPoolServices> = Pick<WarmPoolServices, Names>;

export interface WarmPoolEvents {
  /** It was created or resized, or a member was taken from it. */
  'warm-pool.changed': { readonly name: string };
}
