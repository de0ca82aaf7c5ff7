// `vm.show`.
import { stat } from 'node:fs/promises';
import { backingFile } from '../../storage/chain.ts';
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './one.ts';

export const handler: HandlerOf<'vm.show'> = async ({ vm: vmRef }, { services }) => {
  const vm = services.vms.findAny(vmRef);
  const view = viewOf(vm, services);
  const disks = await Promise.all(
    vm.record.disks.map(async (disk, index) => {
      const shown = view.disks[index];
      const own = disk.kind === 'root' || disk.kind === 'data';
      // st_blocks counts 512-byte units, whatever the file system's block size (stat(2)).
      const usedBytes = own
        ? await stat(disk.file).then(
            ({ blocks }) => blocks * 512,
            () => null,
          )
        : null;
      // Asked of the file itself: what was below it may have been copied into it meanwhile.
      const backing = own
        ? await backingFile(disk.file).then(
            ({ backing }) => backing,
            () => disk.backing,
          )
        : null;
      return shown === undefined ? [] : [{ ...shown, usedBytes, backing }];
    }),
  );
  const { enforcer } = services.resources;
  await enforcer.settled(vm.id);
  const use = vm.live === null ? null : enforcer.use(vm.id);
  const resourceUse = use && {
    cpuLimitNow: use.limitNow,
    cpuCreditMs: use.creditMs,
    memoryBytes: vm.live?.balloon?.actualBytes ?? null,
    notEnforced: [...use.notEnforced],
  };
  return { ...view, disks: disks.flat(), resourceUse };
};
