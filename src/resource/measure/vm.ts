// A VM as it is measured: the room of the VMs fills this in, so that nothing here knows what a VM is made of.

export interface DiskCounters {
  readonly disk: string;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly reads: number;
  readonly writes: number;
  /** Time that the requests took, added up. */
  readonly readSeconds: number;
  readonly writeSeconds: number;
  readonly flushes: number;
  readonly flushSeconds: number;
}

/** What the guest's balloon driver reports. What it does not report is absent. */
export interface GuestMemory {
  readonly totalBytes?: number;
  readonly freeBytes?: number;
  readonly availableBytes?: number;
  readonly cacheBytes?: number;
  /** What the balloon leaves to the guest. */
  readonly balloonBytes?: number;
}

/** By resource; what the guest does not count is absent. */
export interface GuestPressure {
  readonly cpu?: number;
  readonly memory?: number;
  readonly io?: number;
}

export interface RunningVm {
  readonly pid: number;
  /** Its disks' counters since QEMU was started. @throws where QEMU does not answer */
  diskCounters(signal: AbortSignal): Promise<readonly DiskCounters[]>;
  /** Null: the guest has no balloon driver, or it has not reported yet. */
  guestMemory(): GuestMemory | null;
  /** Percent of the last 10 s in which a program in the guest waited; null: not known. */
  guestPressure(): GuestPressure | null;
}

export interface MeasuredVm {
  readonly id: string;
  readonly name: string;
  readonly state: 'stopped' | 'running' | 'paused' | 'suspended' | 'broken';
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Its NICs, and the tap of each in the networks' namespace; null: it has none. */
  readonly nics: readonly { readonly id: string; readonly tap: string | null }[];
  /** Null: it has no QEMU process. */
  readonly running: RunningVm | null;
}
