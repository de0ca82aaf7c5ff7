// What the governor knows and what it decides. Sizes in bytes, CPU in CPUs, shares from 0 to 1, pressure in percent (PSI avg10).

export interface GuestMemory {
  readonly totalBytes: number;
  /** What its programs can still be given without swapping; page cache that can be dropped is in it. */
  readonly availableBytes: number;
  /** Page cache that can be dropped. */
  readonly cacheBytes: number;
  /** Faults that had to read from disk, and swapping in, per second; null: not known. */
  readonly majorFaultsPerSecond: number | null;
}

export interface ObservedVm {
  readonly id: string;
  readonly name: string;
  readonly cpu: {
    readonly vcpus: number;
    readonly limit: number | null;
    readonly lending: boolean;
    /** CPUs used, on average since the last step. */
    readonly used: number;
    /** Part of the periods in which its limit stopped it. */
    readonly throttled: number;
  };
  readonly memory: {
    /** What it is meant to have when nothing is scarce. */
    readonly nominalBytes: number;
    readonly minimumBytes: number;
    readonly maximumBytes: number;
    /** What its balloon leaves it now. */
    readonly currentBytes: number;
    readonly weight: number;
    /** Null: no balloon driver answers. Its memory is then left alone. */
    readonly guest: GuestMemory | null;
    /** Pressure inside the guest; null: not known. */
    readonly pressure: number | null;
  };
  /** How long it has used next to no CPU, in ms. */
  readonly idleMs: number;
  /** It may be suspended to save the host. */
  readonly suspendable: boolean;
}

export interface ObservedHost {
  readonly totalBytes: number;
  readonly availableBytes: number;
  /** What is kept free. */
  readonly reserveBytes: number;
  /** `some` and `full` pressure of memory; null: the kernel does not report it. */
  readonly pressure: { readonly some: number; readonly full: number } | null;
  readonly cpus: number;
  /** Part of the CPU time that nobody uses. */
  readonly idle: number;
  /** Memory that removing ready members of warm pools would free. */
  readonly warmPoolBytes: number;
}

export type Reason =
  | 'guest is short of memory'
  | 'host has memory free'
  | 'others are short of memory'
  | 'host is below its reserve'
  | 'host is in trouble'
  | 'host is idle'
  | 'host is busy'
  | 'above its maximum'
  | 'below its minimum';

export type Numbers = Readonly<Record<string, number>>;

export type Decision =
  | {
      readonly kind: 'memory';
      readonly vm: string;
      readonly fromBytes: number;
      readonly toBytes: number;
      readonly reason: Reason;
      readonly numbers: Numbers;
    }
  | {
      readonly kind: 'cpu';
      readonly vm: string;
      readonly from: number;
      readonly to: number;
      readonly reason: Reason;
      readonly numbers: Numbers;
    }
  | { readonly kind: 'warm-pool'; readonly freeBytes: number; readonly reason: Reason; readonly numbers: Numbers }
  | { readonly kind: 'suspend'; readonly vm: string; readonly reason: Reason; readonly numbers: Numbers };

/** One direction of change of one VM's memory or CPU, and when it last turned. */
export interface Trend {
  readonly up: boolean;
  readonly changedAtMs: number;
  readonly turnedAtMs: number;
}

export interface GovernorState {
  readonly memory: ReadonlyMap<string, Trend>;
  readonly cpu: ReadonlyMap<string, Trend>;
  /** What VMs are lent above their limit: the limit in force. */
  readonly lent: ReadonlyMap<string, number>;
  /** Steps in a row in which the host was in trouble, and in which it was idle. */
  readonly troubledSteps: number;
  readonly idleSteps: number;
}

export const initialState: GovernorState = { memory: new Map(), cpu: new Map(), lent: new Map(), troubledSteps: 0, idleSteps: 0 };

/** A VM's resource turns from growing to shrinking, or back, at most once in this time. */
export const reversalMs = 60_000;

/** Whether a change in this direction may be made now. */
export const mayChange = (trend: Trend | undefined, up: boolean, nowMs: number): boolean =>
  trend === undefined || trend.up === up || nowMs - trend.turnedAtMs >= reversalMs;

export const changed = (trend: Trend | undefined, up: boolean, nowMs: number): Trend => ({
  up,
  changedAtMs: nowMs,
  turnedAtMs: trend === undefined ? Number.NEGATIVE_INFINITY : trend.up === up ? trend.turnedAtMs : nowMs,
});
