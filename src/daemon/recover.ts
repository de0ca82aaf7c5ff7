// A daemon continues where the last one ended: it adopts running VMs, continues unfinished tasks, and removes what then belongs to none of them.
import type { Services } from '../operations/services.ts';
import { queueOf } from '../operations/vm/one.ts';
import type { KvmProver } from '../qemu/kvm/prover.ts';
import type { TaskEngine } from '../task/engine.ts';
import { adoptAll, sweep } from '../vm/lifecycle/adopt.ts';
import type { Vm } from '../vm/vm.ts';
import { isMember, isReady } from '../warm-pool/members.ts';
import type { Periodic } from './periodic.ts';

/** Key of the boot id of the kernel under which the VMs that start with the host were last started. */
export const bootKey = 'host/boot';

export interface Recovered {
  readonly adopted: readonly string[];
  readonly ended: readonly string[];
  /** How many tasks continue, in the background. */
  readonly tasks: number;
  /** VMs that the last daemon left. */
  readonly present: ReadonlySet<Vm>;
}

/** Before requests are served. */
export async function recover(services: Services, tasks: TaskEngine<Services>, signal: AbortSignal): Promise<Recovered> {
  const present = new Set(services.vms.all());
  const { adopted, ended } = await adoptAll(services, isMember, signal);
  void services.networks.begin();
  return { adopted, ended, tasks: await tasks.recover(), present };
}

export interface Tidying {
  readonly services: Services;
  readonly tasks: TaskEngine<Services>;
  readonly kvm: KvmProver;
  readonly periodic: Periodic;
  readonly present: ReadonlySet<Vm>;
}

/** While requests are served: removes what belongs to no VM and no task, then starts the VMs that start with the host. */
export async function tidyUp({ services, tasks, kvm, periodic, present }: Tidying): Promise<void> {
  const { vms, networks, resources, log } = services;
  const busy = (id: string) => tasks.activity(queueOf(id)) !== null;
  await kvm.sweep();
  await tasks.recoveryDone();
  await networks.recovered();
  const swept = await sweep(
    services,
    (vm) => isKept(vm, services),
    (vm) => !present.has(vm) || busy(vm.id),
  );
  await resources.enforcer.sweep((id) => (vms.byId(id)?.live ?? null) !== null || busy(id));
  periodic.warmPoolReplenisher.begin();
  await periodic.scrub.begin();
  if (swept.vms.length + swept.processes + swept.folders > 0) log.warn(swept, 'removed what belonged to no VM');
  await startWithHost(services, periodic);
}

/** A complete VM, or a member of a warm pool that exists. */
const isKept = (vm: Vm, { warmPools }: Services): boolean =>
  vm.record.complete || (isReady(vm) && warmPools.byName(vm.record.warmPool ?? '') !== undefined);

/** Once per boot of the host's kernel. */
async function startWithHost({ store, bootId }: Services, { supervisor }: Periodic): Promise<void> {
  if ((await store.get(bootKey))?.value === bootId) return;
  await supervisor.startWithHost();
  await store.commit({ puts: [{ key: bootKey, value: bootId }] });
}
