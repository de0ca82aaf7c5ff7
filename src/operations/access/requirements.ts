// What a request needs: its names resolved to objects, the permissions it needs on them, and the objects for the audit record. One place for every
// operation. An operation about which nothing is said here needs its permission on the host as a whole.
import type { Identity } from '../../access/identity.ts';
import type { Target } from '../../access/role/decide.ts';
import type { AuditObject } from '../../contract/audit.ts';
import { VivError } from '../../contract/errors.ts';
import { forwardName, parseForward } from '../../contract/forward.ts';
import { parseNicWish } from '../../contract/nic-spec.ts';
import type { Operation } from '../../contract/operation.ts';
import { defaultNetwork } from '../../network/choice.ts';
import {
  findImage,
  findNetwork,
  findProject,
  findVm,
  imageTarget,
  type Known,
  networkTarget,
  projectFor,
  projectTarget,
  vmTarget,
} from './objects.ts';

type Fields = Record<string, unknown>;

export interface Need {
  readonly permission: string;
  /** Null: the host as a whole. */
  readonly target: Target | null;
}

export interface Resolved {
  /** The request with ids in place of names, so that what was checked is what is done. */
  readonly input: Fields;
  readonly needs: readonly Need[];
  readonly objects: readonly AuditObject[];
  /** Whether having the permission on some object is enough: the answer is filtered then. */
  readonly anywhere: boolean;
}

/** Answers that are filtered by what each caller may see (visible.ts). */
const filtered: ReadonlySet<string> = new Set([
  'vm.list',
  'network.list',
  'forward.list',
  'image.list',
  'image.catalog',
  'warm-pool.list',
  'security-group.list',
  'security-group.show',
  'task.list',
  'task.watch',
  'event.list',
  'event.follow',
  'flow.list',
  'flow.follow',
  'project.list',
  'role.list',
  'role.show',
  'top.show',
  'top.follow',
]);

/** What makes an object that a project can own. */
const creates: ReadonlySet<string> = new Set(['vm.create', 'vm.run', 'network.create', 'image.pull', 'image.build', 'image.import']);

/** @throws not_found, ambiguous, invalid */
export async function requirementsOf(operation: Operation, given: Fields, identity: Identity, known: Known): Promise<Resolved> {
  const permission = operation.permission;
  const input: Fields = { ...given };
  const needs: Need[] = [];
  const objects: AuditObject[] = [];
  const text = (field: string) => (typeof given[field] === 'string' ? (given[field] as string) : undefined);
  /** A project's quotas have the same names, and are numbers. */
  const texts = (field: string) => (Array.isArray(given[field]) ? (given[field] as string[]) : []);
  const noun = operation.id.slice(0, operation.id.indexOf('.'));
  let primary: Target | null | undefined;
  /** It is about a task that the caller began. */
  let own = false;

  const vmField = async (ref: string): Promise<string> => {
    const vm = findVm(ref, identity, known);
    primary ??= vmTarget(vm);
    objects.push({ kind: 'vm', id: vm.id, name: vm.name });
    return vm.id;
  };
  const use = async (network: string) => {
    if (network === 'user' || network === 'none') return;
    // The default network is the host's, and is created by the first VM that uses it.
    const absent = network === defaultNetwork && !known.networks.records.byName(network);
    const target = absent ? networkTarget({ name: network, project: null }) : networkTarget(findNetwork(network, identity, known));
    needs.push({ permission: 'network.use', target });
  };
  const useImage = async (ref: string) => {
    const image = await findImage(ref, identity, known);
    needs.push({ permission: 'image.use', target: imageTarget(image, known) });
    return image.names.includes(ref) ? ref : (image.names.find((name) => name.startsWith(`${ref}:`)) ?? image.digest);
  };

  const vmRef = text('vm');
  if (vmRef !== undefined) input['vm'] = await vmField(vmRef);
  if (operation.id === 'warm-pool.create') {
    const from = text('from') ?? '';
    const at = from.indexOf('@');
    input['from'] = `${await vmField(from.slice(0, at))}${from.slice(at)}`;
  } else if (noun === 'warm-pool' && known.warmPools.unreadableOf(text('warmPool') ?? '')) {
    primary = null; // nobody knows whose it is
  } else if (noun === 'warm-pool' && text('warmPool') !== undefined) {
    const { vm, name } = known.warmPools.get(text('warmPool') as string);
    const owner = known.vms.byId(vm);
    primary = owner ? vmTarget(owner) : null;
    if (!identity.may('warm-pool.read', primary)) throw known.warmPools.missing(name);
    objects.push({ kind: 'warm-pool', id: name, name });
  }
  const forward = text('forward');
  if (forward !== undefined) {
    const { records } = known.networks.forwards;
    const name = forwardName(parseForward(forward));
    const record = records.unreadableOf(name) ? undefined : records.get(name);
    const vm = record && known.vms.byId(record.vm);
    primary = vm ? vmTarget(vm) : null;
    if (!identity.may('forward.read', primary)) throw records.missing(name);
    objects.push({ kind: 'forward', id: name, name: vm?.name ?? null });
  }
  const network = text('network');
  if (network !== undefined && operation.id !== 'network.create') {
    objects.push({ kind: 'network', id: network, name: network });
    if (operation.id === 'nic.add') await use(network);
    else if (known.networks.records.unreadableOf(network)) primary = null;
    else primary = networkTarget(findNetwork(network, identity, known));
  }
  const imageRef = text('image');
  if (imageRef !== undefined && noun === 'image' && operation.id !== 'image.pull') {
    const image = await findImage(imageRef, identity, known);
    primary = imageTarget(image, known);
    // One that several projects have is removed for all of them.
    if (operation.id === 'image.remove' && primary.projects.length > 1) primary = null;
    if (!identity.isOwner) input['image'] = image.digest;
    objects.push({ kind: 'image', id: image.digest, name: image.names[0] ?? null });
  } else if (imageRef !== undefined && noun === 'vm') {
    const named = await useImage(imageRef);
    if (!identity.isOwner) input['image'] = named;
  }
  for (const text of texts('networks')) await use(parseNicWish(text).network);
  for (const cd of texts('cdroms')) await useImage(cd);
  const recipe = given['recipe'] as { base: string; name: string } | undefined;
  if (recipe) await useImage(recipe.base);
  const task = text('task');
  if (task !== undefined) primary = await taskTarget(task);

  if (creates.has(operation.id)) {
    const project = projectFor(text('project'), permission, identity, known);
    if (project === undefined) delete input['project'];
    else input['project'] = project;
    const id = project === undefined ? undefined : known.access.projects.get(project).id;
    primary = id === undefined ? null : projectTarget(id);
    const name = text('name') ?? text('network') ?? recipe?.name ?? null;
    // Only for those who may: others do not learn which names are taken.
    if (noun === 'image' && identity.may(permission, primary)) await keepsNameOf(name ?? imageRef);
    objects.push({ kind: noun, id: '', name });
  } else if (noun === 'project' && text('project') !== undefined && operation.id !== 'project.create') {
    const name = text('project') as string;
    const record = findProject(name, identity, known);
    // Its quotas, and what is in it, are not its own administrators' to change.
    primary = operation.method === 'GET' ? projectTarget(record.id) : null;
    objects.push({ kind: 'project', id: record.id, name });
  }
  for (const field of ['user', 'role', 'token', 'session'] as const)
    if (noun === field && text(field) !== undefined) objects.push({ kind: field, id: text(field) as string, name: text(field) as string });

  // A file of the host belongs to the host, whatever else the request is about.
  if (!own) needs.unshift({ permission, target: permission === 'host.files' ? null : (primary ?? null) });
  const anywhere = filtered.has(operation.id) && vmRef === undefined;
  return { input, needs, objects, anywhere };

  /** A name leads to one image: giving an image the name of another one takes the name from that. */
  async function keepsNameOf(name: string | undefined): Promise<void> {
    if (identity.isOwner || name === undefined) return;
    const present = await known.images.present(name).catch(() => null);
    if (!present?.names.includes(name) || identity.may('image.remove', imageTarget(present, known))) return;
    throw new VivError('name_taken', `the name ${name} is taken; choose another one`);
  }

  async function taskTarget(ref: string): Promise<Target | null> {
    const { id } = await known.tasks.find(ref);
    const about = await known.tasks.about(id);
    input['task'] = id;
    objects.push({ kind: 'task', id, name: null }, ...(about?.objects ?? []));
    own = identity.ref.user !== null && about?.by?.user === identity.ref.user;
    const vm = known.vms.byId(about?.objects?.find(({ kind }) => kind === 'vm')?.id ?? '');
    const target = vm ? vmTarget(vm) : null;
    if (!own && !identity.may('task.read', target)) throw new VivError('not_found', `there is no task ${ref}; viv task ls lists them`);
    return target;
  }
}
