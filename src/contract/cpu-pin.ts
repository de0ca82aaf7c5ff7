// Which CPUs of the host a VM's vCPUs may run on: `2-5` for all of them, `0=2` or `0-1=2-3` for some.
import { z } from 'zod';
import { parseCpuSet } from './cpu-set.ts';
import { readableBy } from './readable.ts';

export interface VcpuPin {
  /** Null: all vCPUs that no other pin names. */
  readonly vcpus: readonly number[] | null;
  readonly cpus: readonly number[];
}

/** @throws invalid */
export function parseVcpuPin(text: string): VcpuPin {
  const at = text.indexOf('=');
  return at < 0
    ? { vcpus: null, cpus: parseCpuSet(text) }
    : { vcpus: parseCpuSet(text.slice(0, at)), cpus: parseCpuSet(text.slice(at + 1)) };
}

/** The CPUs of each vCPU; null: not pinned. Pins of all vCPUs add up; a later pin of one replaces an earlier one. */
export function pinsOf(texts: readonly string[], vcpus: number): (readonly number[] | null)[] {
  const pins = texts.map(parseVcpuPin);
  const common = pins.flatMap((pin) => (pin.vcpus === null ? pin.cpus : []));
  const all = common.length > 0 ? common : null;
  return Array.from({ length: vcpus }, (_, vcpu) => pins.findLast((pin) => pin.vcpus?.includes(vcpu))?.cpus ?? all);
}

export const VcpuPinText = z.string().max(200).superRefine(readableBy(parseVcpuPin));
/** The CPUs of the host that QEMU's other threads run on; `none`: any. */
export const EmulatorPinText = z
  .string()
  .max(200)
  .superRefine(readableBy((text: string) => (text === 'none' ? [] : parseCpuSet(text))));
