// `snapshot.restore`: restores a VM to one of its snapshots and starts it from there.
import { VivError } from '../../contract/errors.ts';
import {
  checkRestore,
  makeRestoreOverlays,
  type Overlays,
  planRestore,
  removeRestoreOverlays,
  restoreState,
} from '../../snapshot/restore.ts';
import { collectLayers } from '../../vm/capture/collect-layers.ts';
import { checkStart } from '../../vm/lifecycle/check-start.ts';
import { reconcile } from '../../vm/lifecycle/reconcile-record.ts';
import { startProcess } from '../../vm/lifecycle/start.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import type { HandlerOf } from '../handler.ts';
import { type OnVm, onVm, outputView } from '../vm/one.ts';
import { snapshotBefore } from '../vm/snapshot-before.ts';

interface Restoring extends OnVm {
  snapshot: string;
  overlays: Overlays;
  start: boolean;
  /** It ran when it was to be restored: without memory in the snapshot it boots again. */
  runs?: boolean;
}

const { before } = snapshotBefore<Restoring>({ what: 'restore', required: true });

export const handler: HandlerOf<'snapshot.restore'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, snapshot: ref, start }, { services }): Promise<Restoring> => {
    const vm = services.vms.find(vmRef);
    const snapshot = services.snapshots.find(vm, ref);
    if (snapshot.memory?.in === 'process')
      throw new VivError('wrong_state', `the memory of the snapshot ${ref} is still being written; try again in a moment`);
    await checkRestore(vm, services, snapshot);
    return { id: vm.id, name: vm.name, snapshot: snapshot.id, overlays: planRestore(vm, snapshot), start, runs: vm.live !== null };
  },
  steps: [
    ...before,
    {
      name: 'create the overlays',
      run: async ({ id, snapshot, overlays }: Restoring, { services: { vms, snapshots } }) => {
        await makeRestoreOverlays(vms.get(id), snapshots.get(snapshot), overlays);
      },
      undo: async ({ id, overlays }, { services: { vms } }) => {
        const vm = vms.byId(id);
        if (vm) await removeRestoreOverlays(vm, overlays);
      },
    },
    {
      name: 'restore the state',
      final: true,
      run: async ({ id, name, snapshot: snapshotId, overlays }, { services, repeated }) => {
        const vm = services.vms.get(id);
        const snapshot = services.snapshots.get(snapshotId);
        // Checked again, because its turn may have come late.
        if (!repeated) await checkRestore(vm, services, snapshot);
        await endNow(vm, services);
        await restoreState(vm, services, snapshot, overlays);
        services.events.record({
          type: 'vm.restored',
          subject: id,
          name,
          message: `${name} was restored to ${snapshot.label ?? snapshot.id}`,
        });
        await collectLayers(services);
      },
    },
    {
      name: 'start QEMU',
      run: async ({ id, start, runs = false }, { services, signal }) => {
        const vm = services.vms.get(id);
        if (!start || (vm.record.state !== 'suspended' && !runs)) return;
        const { accel } = await checkStart(vm, services);
        await startProcess(vm, services, accel, signal);
      },
      // A start that failed has ended its process.
      undo: async ({ id }, { services }) => {
        const vm = services.vms.byId(id);
        if (vm) await reconcile(vm, services);
      },
    },
  ],
  output: outputView,
};
