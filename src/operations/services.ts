// What the operations work with; daemon.ts makes it once.
import type { Access } from '../access/access.ts';
import type { AuditLog } from '../access/audit/log.ts';
import type { Actor, AuditObject } from '../contract/audit.ts';
import type { Event } from '../contract/event.ts';
import type { Host } from '../contract/host.ts';
import type { Listener } from '../contract/listener.ts';
import type { Task } from '../contract/task.ts';
import type { EventBus, Report } from '../host/event-bus.ts';
import type { Images } from '../image/images.ts';
import type { Transaction } from '../store/store.ts';
import type { VmEvents } from '../vm/events.ts';
import type { WarmPoolEvents, WarmPoolServices } from '../warm-pool/services.ts';

export interface EventLog {
  /** Records what happened; durable, never throws (a full disk is logged). */
  record(event: Report): void;
  list(options: { after?: number; limit: number }): Promise<Event[]>;
  follow(after: number | undefined, signal: AbortSignal): AsyncIterable<Event>;
}

export interface Tasks {
  list(options: { state?: Task['state']; limit: number }): Promise<Task[]>;
  /** By id or unique prefix; throws not_found, ambiguous. */
  find(ref: string): Promise<Task>;
  /** Who asked for a task, and what it acts on. */
  about(id: string): Promise<{ by?: Actor; objects?: readonly AuditObject[] } | undefined>;
  cancel(ref: string): Promise<Task>;
  follow(ref: string, signal: AbortSignal): AsyncIterable<Task>;
  runningCount(): number;
  /** The running task that holds the queue, for `activity`. */
  activity(queue: string): { task: string; operation: string } | null;
  /** Resolves when no task is in the queue. */
  idle(queue: string): Promise<void>;
  /** Cancels every running or waiting task of the queue, but for those to spare, and waits until all of them have ended. */
  cancelQueue(queue: string, spare: (task: { operation: string; input: unknown }) => boolean): Promise<void>;
}

export interface HostFacts {
  show(options: { prove: boolean }): Promise<Host>;
  /** Which accelerator a VM gets; throws no_accelerator where kvm was asked for and does not work. */
  accelerator(desired: 'auto' | 'kvm' | 'tcg'): Promise<'kvm' | 'tcg'>;
  /** Why changes are refused now (disk nearly full); null when they are not. */
  readOnly(): string | null;
}

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
  readonly bus: EventBus<HostEvents>;
  readonly access: Access;
  readonly audit: AuditLog;
  /** Links of the audit log's chain that were anchored outside. */
  anchors(): Promise<readonly { sequence: number; hash: string }[]>;
  readonly listener: ListenerControl;
  /** Ends the daemon in an orderly way, after the answer has been sent. */
  shutdown(): void;
}

/** What the rooms emit on the one bus. */
export type HostEvents = VmEvents & WarmPoolEvents;
