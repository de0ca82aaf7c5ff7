// Changes of resource settings: merged into what is set, checked, and put into force in a VM that runs.
import { effective, mergeResources, type ResourceSettings, resourceFields } from '../../contract/resource.ts';
import type { AgentConnection } from '../../qemu/agent/channel.ts';
import { plugVcpus } from '../../qemu/vcpu.ts';
import type { Settings } from '../record.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { admitStart } from './admit.ts';
import { applyLimits, applyMemory, isGoverned } from './apply.ts';
import { checkSettings } from './check.ts';

/** Settings as a request has them, with resources where records have them. */
export function splitResources(changes: object): { resources: Partial<ResourceSettings>; rest: Partial<Settings> } {
  const isResource = (name: string) => (resourceFields as string[]).includes(name);
  const entries = Object.entries(changes).filter(([, value]) => value !== undefined);
  return {
    resources: Object.fromEntries(entries.filter(([name]) => isResource(name))) as Partial<ResourceSettings>,
    rest: Object.fromEntries(entries.filter(([name]) => !isResource(name))) as Partial<Settings>,
  };
}

/** @throws what does not fit the VM or its host */
export async function checkChange(
  vm: Vm,
  settings: Partial<Settings>,
  resources: Partial<ResourceSettings>,
  services: Uses<'vms' | 'resources'>,
): Promise<void> {
  const { record } = vm;
  const next = {
    ...record,
    settings: { ...record.settings, ...settings, resources: mergeResources(record.settings.resources, resources) },
  };
  checkSettings(next, services.resources.enforcer.hostCpus);
  if (vm.live === null) return;
  const more = next.settings.resources.memoryMinimumBytes - record.settings.resources.memoryMinimumBytes;
  if (more <= 0) return;
  const only = { ...next.settings, memoryBytes: 0, resources: { ...next.settings.resources, memoryMinimumBytes: more, hugepages: false } };
  await admitStart(vm.name, { ...next, settings: only }, 1, true, services);
}

/** Puts what is recorded into force, as far as that is possible while it runs; the rest is pending. Repeatable. */
export async function applyChange(vm: Vm, services: Uses<'resources'>, signal: AbortSignal): Promise<void> {
  const { live, record } = vm;
  if (live === null || record.state === 'suspended') return;
  const { settings, started } = record;
  if (started !== null && started.resources.maxCpus > 0 && settings.cpus > started.cpus && settings.cpus <= started.resources.maxCpus) {
    const model = { arch: record.arch, accel: started.accelInUse, cpuModel: started.resources.cpuModel };
    await plugVcpus(live.qmp, model, settings.cpus);
    // Its saved state fits as many vCPUs.
    await vm.update((now) => ({ started: now.started && { ...now.started, cpus: now.settings.cpus } }));
    if (live.agent) await bringOnline(live.agent, signal);
  }
  if (
    started?.balloon &&
    started.resources.memoryMaximumBytes > 0 &&
    settings.memoryBytes <= effective(started.resources, started).memoryMaximumBytes
  ) {
    await applyMemory(vm, live);
    await vm.update((now) => ({ started: now.started && { ...now.started, memoryBytes: now.settings.memoryBytes } }));
    await live.balloon?.begin(isGoverned(vm));
    live.pressure?.begin(isGoverned(vm));
  }
  await applyLimits(vm, live, services, { limitsMayBeGone: true });
}

const onlineDeadlineMs = 10_000;
const onlineScript = 'for f in /sys/devices/system/cpu/cpu[1-9]*/online; do [ "$(cat "$f")" = 1 ] || echo 1 > "$f"; done';

/** A guest without a udev rule for it leaves a new vCPU offline. One that cannot be asked may still bring it online itself. */
async function bringOnline(agent: AgentConnection, signal: AbortSignal): Promise<void> {
  const channel = agent.exec({ command: ['/bin/sh', '-c', onlineScript], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
  const stop = AbortSignal.any([signal, AbortSignal.timeout(onlineDeadlineMs)]);
  stop.addEventListener('abort', () => channel.close(), { once: true });
  channel.stdin.end();
  for (const stream of [channel.stdout, channel.stderr]) stream.resume();
  await channel.ended.catch(() => {});
}
