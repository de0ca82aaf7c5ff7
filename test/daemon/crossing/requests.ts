// One request for each operation and each owner of what it names, from the table of operations; and how it ought to be answered.
import { operationList } from '../../../src/contract/index.ts';
import type { Operation } from '../../../src/contract/operation.ts';
import { route } from '../../../src/sdk/route.ts';
import { may, mayAnywhere, type TestCaller, type Thing } from './callers.ts';
import { portOf } from './world.ts';

/** `granted`, the status of a refusal, or `hidden`: the answer for what does not exist. */
export type Expected = 'granted' | 401 | 403 | 'hidden';

export interface TestRequest {
  readonly operation: Operation;
  /** Whose object is named; null: none. `missing`: one that does not exist. */
  readonly owner: string | null;
  readonly method: string;
  readonly path: string;
  /** JSON: the body, or the first frame of a WebSocket. */
  readonly body: string | undefined;
  expected(caller: TestCaller): Expected;
}

type Fields = Record<string, unknown>;
const nounOf = ({ id }: Operation) => id.slice(0, id.indexOf('.'));
const takes = ({ input }: Operation, field: string) => field in input.shape;
const makes: ReadonlySet<string> = new Set(['vm.create', 'vm.run', 'network.create', 'image.pull', 'image.build', 'image.import']);

/** Fields that name an object with an owner: how it is called, and with which permission it is seen. */
const named: Readonly<Record<string, { readonly sees: string; called(owner: string, tasks: Tasks): string; on(owner: string): string }>> = {
  vm: { sees: 'vm.read', called: (owner) => `${owner}vm`, on: (owner) => `vm:${owner}vm` },
  warmPool: { sees: 'warm-pool.read', called: (owner) => `${owner}pool`, on: (owner) => `vm:${owner}vm` },
  forward: { sees: 'forward.read', called: (owner) => portOf[owner] ?? '', on: (owner) => `vm:${owner}vm` },
  network: { sees: 'network.read', called: (owner) => `${owner}net`, on: (owner) => `network:${owner}net` },
  image: { sees: 'image.read', called: (owner) => `${owner}img`, on: (owner) => `image:${owner}img` },
  task: { sees: 'task.read', called: (owner, tasks) => tasks[owner] ?? 'zzzzzzzzzzzz', on: (owner) => `vm:${owner}vm` },
  project: { sees: 'project.read', called: (owner) => owner, on: (owner) => `project:${owner}` },
};
type Tasks = Readonly<Record<string, string>>;

/** Which of its fields name something that exists already. */
function objectFields(operation: Operation): string[] {
  return Object.keys(named).filter((field) => {
    if (!takes(operation, field)) return false;
    if (field === 'project') return nounOf(operation) === 'project' && operation.id !== 'project.create';
    if (field === 'network') return operation.id !== 'network.create';
    if (field === 'image') return nounOf(operation) === 'image' && operation.id !== 'image.pull';
    return operation.id !== 'warm-pool.create' || field !== 'warmPool';
  });
}

/** What else an operation cannot be without. */
const required: Readonly<Record<string, unknown>> = {
  ...{ user: 'viewer', role: 'viewer', token: 'zzzz', session: 'zzzz', alert: 'full', securityGroup: 'web', nic: 'net0' },
  ...{ command: ['true'], path: '/tmp/x', forwards: ['50007:80'], rule: 'in tcp 80', verb: 'start', code: '123456', size: 1 },
  ...{ password: 'correct horse battery', secret: 'x'.repeat(50), kind: 'vm', object: 'hostvm', permission: ['vm.read'], days: 1 },
  ...{ durationMs: 60_000, to: ['log'], listen: '127.0.0.1:0', name: 'new', collector: 'new', url: 'syslog://192.0.2.1:514' },
};
const particular: Readonly<Record<string, Fields>> = {
  'warm-pool.create': { warmPool: 'new' },
  'network.create': { network: 'newnet' },
  'image.build': { recipe: { name: 'made', base: 'tiny' } },
  'image.pull': { image: 'https://images.example/new.qcow2' },
  'vm.create': { image: 'tiny' },
  'vm.run': { image: 'tiny' },
  'ticket.create': { kind: 'console' },
  'alert.create': { rule: 'event vm.ended' },
  'project.create': { project: 'newproject' },
  'snapshot.diff': { to: 'now' },
};

function inputFor(operation: Operation, owner: string | null, tasks: Tasks): Fields {
  const input: Fields = {};
  const needed = (field: string) =>
    !(operation.input.shape as Record<string, { safeParse(value: unknown): { success: boolean } }>)[field]?.safeParse(undefined).success;
  for (const field of Object.keys(operation.input.shape)) if (needed(field) && field in required) input[field] = required[field];
  Object.assign(input, particular[operation.id]);
  if (owner !== null) {
    const [first = '', second = first] = owner.split('/');
    for (const [index, field] of objectFields(operation).entries())
      input[field] = named[field]?.called(index === 0 ? first : second, tasks);
    if (takes(operation, 'snapshot')) input['snapshot'] = `${owner.split('/')[0]}snap`;
    if (makes.has(operation.id) && owner !== 'host') input['project'] = owner;
    if (operation.id === 'warm-pool.create') input['from'] = `${owner}vm@${owner}snap`;
  }
  const parsed = operation.input.safeParse(input);
  if (!parsed.success) throw new Error(`${operation.id} needs values in this test: ${parsed.error.message}`);
  return input;
}

export function requestsFor(tasks: Tasks): TestRequest[] {
  return operationList.flatMap((operation) => {
    const objects = operation.id === 'warm-pool.create' ? ['vm'] : objectFields(operation);
    const optional = objects.every(
      (field) =>
        (operation.input.shape as Record<string, { safeParse(value: unknown): { success: boolean } }>)[field]?.safeParse(undefined).success,
    );
    const whose: (string | null)[] = [
      ...(makes.has(operation.id) || objects.length > 0
        ? ['blue', 'red', ...(objects.includes('project') ? [] : ['host']), 'missing']
        : []),
      // What of two names is hidden is compared with the same one missing.
      ...(objects.length > 1 ? ['blue/missing', 'red/missing', 'host/missing'] : []),
      ...(optional && !makes.has(operation.id) ? [null] : []),
    ];
    return whose.map((owner) => {
      const { method, path, rest } = route(operation, inputFor(operation, owner, tasks));
      const body = operation.transport === 'upload' ? 'x' : rest === undefined || method === 'DELETE' ? undefined : JSON.stringify(rest);
      return { operation, owner, method, path, body, expected: (caller: TestCaller) => expect(operation, objects, owner, caller) };
    });
  });
}

const filtered =
  /^(vm|network|forward|image|warm-pool|security-group|task|event|flow|project|role)\.(list|follow)$|^(image\.catalog|task\.watch|top\.(show|follow)|role\.show|security-group\.show)$/;

function expect(operation: Operation, objects: readonly string[], owner: string | null, caller: TestCaller): Expected {
  const { id, permission } = operation;
  if (caller.credential === 'wrong') return 401;
  if (permission === 'public') return 'granted';
  if (caller.credential === 'none') return 401;
  if (permission === 'signed-in') return 'granted';
  const sees = (field: string) => named[field]?.sees ?? '';
  const thing = (field: string): Thing | null => (owner === null ? null : { owner, object: named[field]?.on(owner) ?? '' });
  if (makes.has(id)) {
    if (owner === 'missing') return 'hidden';
    const project: Thing | null = owner === null || owner === 'host' ? null : { owner, object: `project:${owner}` };
    if (project && !may(caller, 'project.read', project) && !may(caller, permission, project)) return 'hidden';
    // Whose rights are in one project only creates there.
    const home = project ?? onlyProject(caller, permission);
    const target = permission === 'host.files' ? null : home;
    const base = /^(vm|image)\.(create|run|build)$/.test(id) ? may(caller, 'image.use', { owner: 'host', object: 'image:tiny' }) : true;
    if (!base && !may(caller, 'image.read', { owner: 'host', object: 'image:tiny' })) return 'hidden';
    return base && may(caller, permission, target) ? 'granted' : 403;
  }
  if (owner?.endsWith('missing')) return 'hidden';
  // What a VM's NIC leads into is used; what else is named has to be seen.
  const looked = id === 'nic.add' ? ['vm', 'network'] : objects;
  if (looked.some((field) => owner !== null && !may(caller, sees(field), thing(field)))) return 'hidden';
  if (owner === null || (filtered.test(id) && !objects.includes('vm') && objects.length === 0))
    return (filtered.test(id) ? mayAnywhere(caller, permission) : may(caller, permission, null)) ? 'granted' : 403;
  const about = (objects.includes('network') && id !== 'nic.add' ? 'network' : objects[0]) as string;
  const target = permission === 'host.files' || (about === 'project' && operation.method !== 'GET') ? null : thing(about);
  if (id === 'nic.add' && !may(caller, 'network.use', thing('network'))) return 403;
  return may(caller, permission, target) ? 'granted' : 403;
}

/** The project of a caller that has this permission in one project and not on the host. */
function onlyProject(caller: TestCaller, permission: string): Thing | null {
  if (may(caller, permission, null)) return null;
  const found = ['blue', 'red'].map((owner) => ({ owner, object: `project:${owner}` })).filter((thing) => may(caller, permission, thing));
  return found.length === 1 ? (found[0] ?? null) : null;
}
