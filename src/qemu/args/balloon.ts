// The memory balloon: takes memory from the guest and gives it back, reports what the guest uses, and returns pages that it frees.
import type { QemuConfig } from '../config.ts';
import { json } from './json.ts';

export const balloonId = 'balloon';
/** On the PC, an address of its own, so that no other device moves when a VM gets one (nic.ts has 1d, disk.ts 1e). */
const address = '1c';

/**
 * `page-poison` stays off: a guest that expects zeros in pages it has freed (init_on_free) then does not report free pages, and gets what a
 * memory layer holds, not zeros, from nothing else (docs/internals/memory.md).
 * `deflate-on-oom`: a guest that runs out of memory reclaims what the balloon holds before it kills a process.
 */
export const balloonArguments = ({ balloon, arch }: Pick<QemuConfig, 'balloon' | 'arch'>): string[] =>
  balloon === null
    ? []
    : json('-device', {
        driver: 'virtio-balloon-pci',
        id: balloonId,
        ...(arch === 'x86_64' || arch === 'i386' ? { addr: address } : {}),
        'deflate-on-oom': true,
        'free-page-reporting': balloon.freePageReporting,
        'page-poison': false,
      });
