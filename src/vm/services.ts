// What the functions of the VM room work with. Each declares the part that it uses: `services: Uses<'paths' | 'snapshots'>`.
import type { Logger } from 'pino';
import type { Clock } from '../host/clock.ts';
import type { EventBus } from '../host/event-bus.ts';
import type { Paths } from '../host/paths.ts';
import type { Networks } from '../network/networks.ts';
import type { Enforcer } from '../resource/enforcer.ts';
import type { Governor } from '../resource/governor/governor.ts';
import type { Capacity } from '../resource/memory/admission.ts';
import type { DamagedFiles } from './capture/damaged-files.ts';
import type { SnapshotRecords } from './capture/snapshot-record.ts';
import type { Processes } from './find-process.ts';
import type { VmRegistry } from './registry.ts';
import type { VmEvents } from './vm.ts';

export interface VmServices {
  readonly vms: VmRegistry;
  readonly snapshots: SnapshotRecords;
  readonly checks: DamagedFiles;
  readonly networks: Networks;
  readonly processes: Processes;
  readonly paths: Paths;
  readonly log: Logger;
  readonly clock: Clock;
  readonly bus: EventBus<VmEvents>;
  /** Boot id of the host's kernel. */
  readonly bootId: string;
  /** True when the daemon is root: each VM's QEMU has a user of its own. */
  readonly ownUsers: boolean;
  readonly resources: {
    readonly enforcer: Enforcer;
    readonly clock: Clock;
    readonly governor: () => Governor;
    /** The host's memory as admission counts it. */
    capacity(): Promise<Capacity>;
  };
  readonly host: {
    /** @throws no_accelerator */
    accelerator(desired: 'auto' | 'kvm' | 'tcg'): Promise<'kvm' | 'tcg'>;
  };
}

export type Uses<Names extends keyof VmServices> = Pick<VmServices, Names>;
