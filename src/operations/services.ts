// What the operations work with; daemon.ts makes it once.
import type { Logger } from 'pino';
import type { HostFacts } from '../host/facts.ts';
import type { Paths } from '../host/paths.ts';
import type { Images } from '../image/images.ts';
import type { Store } from '../store/store.ts';
import type { Tasks } from '../task/engine.ts';
import type { EventLog } from '../task/event-log.ts';
import type { VmRegistry } from '../vm/registry.ts';

export interface Services {
  readonly version: string;
  readonly startedAt: number;
  readonly paths: Paths;
  readonly store: Store;
  readonly log: Logger;
  readonly events: EventLog;
  readonly tasks: Tasks;
  readonly host: HostFacts;
  readonly images: Images;
  readonly vms: VmRegistry;
  /** Ends the daemon in an orderly way, after the answer has been sent. */
  shutdown(): void;
}
