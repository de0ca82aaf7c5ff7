// What the operations work with; daemon.ts makes it once.
import type { Access } from '../access/access.ts';
import type { AuditForwards } from '../access/audit/forward/forwards.ts';
import type { AuditLog } from '../access/audit/log.ts';
import type { Listener } from '../contract/listener.ts';
import type { EventBus } from '../host/event-bus.ts';
import type { HostFacts } from '../host/facts.ts';
import type { Images } from '../image/images.ts';
import type { NetworkEvents } from '../network/model.ts';
import type { Alerts } from '../resource/alert/alerts.ts';
import type { Histories } from '../resource/history/histories.ts';
import type { Monitor } from '../resource/measure/monitor.ts';
import type { Transaction } from '../store/store.ts';
import type { Tasks } from '../task/engine.ts';
import type { EventLog } from '../task/event-log.ts';
import type { VmEvents } from '../vm/vm.ts';
import type { WarmPoolEvents, WarmPoolServices } from '../warm-pool/services.ts';

export interface ListenerControl {
  state(): Listener | null;
  /** @throws in_use, not_found, invalid */
  open(
    asked: { listen: string; names: string[]; certificate?: string | undefined; key?: string | undefined },
    commit: (transaction: Transaction) => Promise<unknown>,
  ): Promise<Listener>;
  close(commit: (transaction: Transaction) => Promise<unknown>): Promise<void>;
}

/** Every service by its name. An operation, and each function it calls, takes those it uses. */
export interface Services extends WarmPoolServices {
  readonly version: string;
  readonly startedAt: number;
  readonly events: EventLog;
  readonly tasks: Tasks;
  readonly host: HostFacts;
  readonly images: Images;
  readonly monitor: Monitor;
  readonly histories: Histories;
  readonly alerts: Alerts;
  readonly bus: EventBus<HostEvents>;
  readonly access: Access;
  readonly audit: AuditLog;
  readonly auditForwards: AuditForwards;
  /** Links of the audit log's chain that were anchored outside. */
  anchors(): Promise<readonly { sequence: number; hash: string }[]>;
  readonly listener: ListenerControl;
  /** Ends the daemon in an orderly way, after the answer has been sent. */
  shutdown(): void;
}

/** What the rooms emit on the one bus. */
export type HostEvents = NetworkEvents & VmEvents & WarmPoolEvents;
