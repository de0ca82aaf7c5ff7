// The order of the VMs in `viv top`. Pure.
import type { VmUse } from '../../contract/top.ts';

export const orders = ['cpu', 'memory', 'disk', 'network', 'name'] as const;
export type Order = (typeof orders)[number];

/** Largest first; by name where two are the same, or it is not known. */
export function ordered(vms: readonly VmUse[], order: Order, reverse: boolean): VmUse[] {
  const sorted = vms.toSorted((one, other) => (keyOf(other, order) ?? -1) - (keyOf(one, order) ?? -1) || (one.name < other.name ? -1 : 1));
  return reverse ? sorted.reverse() : sorted;
}

function keyOf({ values }: VmUse, order: Order): number | undefined {
  switch (order) {
    case 'cpu':
      return values.cpuCores;
    case 'memory':
      return values.proportionalBytes ?? values.residentBytes;
    case 'disk':
      return sum(values.diskReadBytesPerSecond, values.diskWriteBytesPerSecond);
    case 'network':
      return sum(values.networkReceiveBytesPerSecond, values.networkSendBytesPerSecond);
    case 'name':
      return 0;
  }
}

const sum = (one: number | undefined, other: number | undefined) => (one === undefined || other === undefined ? undefined : one + other);
