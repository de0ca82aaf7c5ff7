// What the functions of the snapshot room work with: as those of the VM room, with the whole registry of snapshots.
import type { Store } from '../store/store.ts';
import type { VmServices } from '../vm/services.ts';
import type { FileChecks } from './checksum/file-checks.ts';
import type { SnapshotRegistry } from './registry.ts';

export interface SnapshotServices extends VmServices {
  readonly snapshots: SnapshotRegistry;
  readonly checks: FileChecks;
  readonly store: Store;
}

export type Uses<Names extends keyof SnapshotServices> = Pick<SnapshotServices, Names>;
