// The events that the VM room emits.
import type { ReportEvents } from '../host/event-bus.ts';
import type { Vm } from './vm.ts';

export interface VmEvents extends ReportEvents {
  /** Something that the VM's view shows has changed. */
  'vm.changed': Vm;
  /** Its process ended by itself. `failed`: for another reason than the guest's shutdown. */
  'vm.ended': { readonly vm: Vm; readonly failed: boolean; readonly message: string };
  /** A snapshot is complete: the layers of its disks have no checksums yet. */
  'snapshot.taken': { readonly snapshot: string };
  /** The host has less memory available than a VM needs: listeners free what they can. */
  'host.memory-needed': { readonly bytes: number };
}
