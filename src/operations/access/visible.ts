// What of an answer somebody sees. Owners see all of it; for others, lists are without what they may not see, and what they may see does not name it.
import type { Identity } from '../../access/identity.ts';
import type { Event } from '../../contract/event.ts';
import type { Flow } from '../../contract/flow.ts';
import type { Forward } from '../../contract/forward.ts';
import type { Image } from '../../contract/image.ts';
import type { Network } from '../../contract/network.ts';
import type { Project } from '../../contract/project.ts';
import type { Group } from '../../contract/security-group.ts';
import type { Task } from '../../contract/task.ts';
import type { Top } from '../../contract/top.ts';
import type { Vm } from '../../contract/vm-state.ts';
import type { WarmPool } from '../../contract/warm-pool.ts';
import { type Known, networkTarget, projectTarget, vmTarget } from './objects.ts';

/** One's view of this host, while one answer is made. */
class Eyes {
  readonly #identity: Identity;
  readonly #known: Known;
  readonly #seesVm: ReturnType<Identity['tester']>;

  constructor(identity: Identity, known: Known) {
    this.#identity = identity;
    this.#known = known;
    this.#seesVm = identity.tester('vm.read');
  }

  vm(id: string): boolean {
    const vm = this.#known.vms.byId(id);
    return vm !== undefined && this.#seesVm(vmTarget(vm));
  }

  vmNamed(name: string | null): boolean {
    const vm = name === null ? undefined : this.#known.vms.byName(name);
    return vm !== undefined && this.#seesVm(vmTarget(vm));
  }

  network(name: string): boolean {
    const record = this.#known.networks.records.byName(name);
    return record !== undefined && this.#identity.may('network.read', networkTarget(record));
  }

  image(digest: string): boolean {
    const projects = this.#known.access.projects.ownersOfImage(digest);
    return this.#identity.may('image.read', { kind: 'image', id: digest, projects });
  }

  project(id: string): boolean {
    return this.#identity.may('project.read', projectTarget(id));
  }

  host(permission: string): boolean {
    return this.#identity.may(permission, null);
  }

  async task({ id }: Task): Promise<boolean> {
    const about = await this.#known.tasks.about(id);
    const { user } = this.#identity.ref;
    if (this.host('task.read') || (user !== null && about?.by?.user === user)) return true;
    const vm = this.#known.vms.byId(about?.objects?.find(({ kind }) => kind === 'vm')?.id ?? '');
    return vm !== undefined && this.#identity.may('task.read', vmTarget(vm));
  }

  /** Events name their VM by id; what happens to the host, or to what is gone, is for those who see the host. */
  async event({ type, subject, name }: Event): Promise<boolean> {
    if (this.host('event.read')) return true;
    if (subject !== null && this.vm(subject)) return true;
    if (type.startsWith('snapshot.')) return this.vmNamed(name);
    if (type.startsWith('network.') && subject === null) return name !== null && this.network(name);
    return type.startsWith('task.') && subject !== null && this.task({ id: subject } as Task);
  }
}

const withoutHidden = (eyes: Eyes, network: Network): Network => ({ ...network, nics: network.nics.filter(({ vm }) => eyes.vmNamed(vm)) });
const groupSeen = (eyes: Eyes, group: Group): Group => ({
  ...group,
  nics: group.nics.filter(({ vm }) => eyes.vmNamed(vm)),
  rules: group.rules.filter((rule) => {
    const named = /\bvm:(\S+)/.exec(rule)?.[1];
    return named === undefined || eyes.vmNamed(named);
  }),
});
const imageSeen = (eyes: Eyes, image: Image): Image => ({
  ...image,
  usedBy: image.usedBy.filter((user) => eyes.vmNamed(user.split('@')[0] ?? '')),
});
const endSeen = (eyes: Eyes, end: Flow['from']): Flow['from'] => (end === null || end.vm === null || eyes.vmNamed(end.vm) ? end : null);
const flowSeen = (eyes: Eyes, flow: Flow): Flow | undefined => {
  if (!eyes.vmNamed(flow.from?.vm ?? null) && !eyes.vmNamed(flow.to?.vm ?? null)) return undefined;
  return { ...flow, from: endSeen(eyes, flow.from), to: endSeen(eyes, flow.to) };
};

const topSeen = (eyes: Eyes, top: Top): Top => ({
  ...top,
  host: eyes.host('top.read') ? top.host : { ...top.host, values: {}, recentCpuPercent: [] },
  vms: top.vms.filter(({ id }) => eyes.vm(id)),
});

async function keep<T>(items: readonly T[], sees: (item: T) => boolean | Promise<boolean>): Promise<T[]> {
  const seen = await Promise.all(items.map(sees));
  return items.filter((_, index) => seen[index]);
}

// biome-ignore lint/suspicious/noExplicitAny: each function takes the output of its operation
const views: Readonly<Record<string, (eyes: Eyes, output: any) => unknown>> = {
  'vm.list': (eyes, vms: Vm[]) => vms.filter(({ id }) => eyes.vm(id)),
  'network.list': (eyes, networks: Network[]) => networks.filter(({ name }) => eyes.network(name)).map((one) => withoutHidden(eyes, one)),
  'network.show': withoutHidden,
  'network.set': withoutHidden,
  'forward.list': (eyes, forwards: Forward[]) => forwards.filter(({ vm }) => eyes.vmNamed(vm)),
  'image.list': (eyes, images: Image[]) => images.filter(({ digest }) => eyes.image(digest)).map((one) => imageSeen(eyes, one)),
  'image.show': imageSeen,
  'warm-pool.list': (eyes, pools: WarmPool[]) => pools.filter(({ vm }) => eyes.vmNamed(vm)),
  'security-group.list': (eyes, groups: Group[]) => groups.map((one) => groupSeen(eyes, one)),
  'security-group.show': groupSeen,
  'task.list': (eyes, tasks: Task[]) => keep(tasks, (task) => eyes.task(task)),
  'task.watch': async (eyes, task: Task) => ((await eyes.task(task)) ? task : undefined),
  'event.list': (eyes, events: Event[]) => keep(events, (event) => eyes.event(event)),
  'event.follow': async (eyes, event: Event) => ((await eyes.event(event)) ? event : undefined),
  'flow.list': (eyes, flows: Flow[]) => flows.flatMap((flow) => flowSeen(eyes, flow) ?? []),
  'flow.follow': flowSeen,
  'top.show': topSeen,
  'top.follow': topSeen,
  'project.list': (eyes, projects: Project[]) => projects.filter(({ id }) => eyes.project(id)),
};

/** What of an operation's output, or of one of its events, somebody sees; undefined: nothing. */
export async function shownTo(identity: Identity, operation: string, output: unknown, known: Known): Promise<unknown> {
  const view = views[operation];
  return identity.isOwner || !view ? output : await view(new Eyes(identity, known), output);
}
