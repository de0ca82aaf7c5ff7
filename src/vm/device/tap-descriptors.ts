// Which descriptor of its process each of a VM's taps is, and the words that put it there. Pure.
import { tapOf } from '../../network/kernel/interface-names.ts';
import type { TapLauncher } from '../../network/networks.ts';
import type { VmRecord } from '../record.ts';
import { isVirtual } from './nics.ts';

export interface Taps {
  readonly taps: Map<string, { fd: number; vhostFd: number | null }>;
  readonly words: string[];
}

/** @param first the first descriptor that is free */
export function withTaps({ id, nics }: VmRecord, { enter, program, vhost }: TapLauncher, first: number): Taps {
  const virtual = nics.filter(isVirtual);
  const taps = new Map(virtual.map((nic, nth) => [nic.id, { fd: first + nth, vhostFd: vhost ? first + virtual.length + nth : null }]));
  const handed = [...taps].map(([nic, { fd, vhostFd }]) => `${fd}:${tapOf(id, nic)}${vhostFd === null ? '' : `:${vhostFd}`}`);
  return { taps, words: [...enter, program, 'run', ...handed, '--'] };
}
