// The permission that each operation needs, `noun.verb`. `read` sees, `use` lets one's own VMs use it, the others change.
import type { Operation } from './operation.ts';

/**
 * Besides permissions:
 * - `public`: whoever asks (sign-in).
 * - `self`: whoever is signed in, about themselves; the operation says what of others.
 */
export const everyone = ['public', 'self'] as const;

const operate = ['start', 'stop', 'restart', 'reset', 'pause', 'resume', 'suspend'];

/** What does not follow from the operation's noun and method. */
const special: Readonly<Record<string, string>> = {
  'vm.create': 'vm.create',
  'vm.run': 'vm.create',
  'vm.fork': 'vm.create',
  'vm.remove': 'vm.delete',
  'vm.exec': 'vm.console',
  'vm.console': 'vm.console',
  'vm.view': 'vm.console',
  'vm.copyIn': 'vm.console',
  'vm.copyOut': 'vm.console',
  'snapshot.create': 'snapshot.create',
  'snapshot.restore': 'snapshot.restore',
  'snapshot.remove': 'snapshot.delete',
  'snapshot.diff': 'snapshot.read',
  'snapshot.verify': 'snapshot.read',
  'warm-pool.take': 'vm.create',
  'network.attach': 'vm.change',
  'network.detach': 'vm.change',
  'network.link': 'vm.change',
  'network.guard': 'vm.change',
  'network.limit': 'vm.change',
  'network.capture': 'network.change',
  'network.create': 'network.create',
  'network.forward': 'forward.change',
  'network.forwards': 'forward.read',
  'network.unforward': 'forward.change',
  'image.pull': 'image.create',
  'image.build': 'image.create',
  // They read and write any file of the host.
  'image.import': 'host.files',
  'image.export': 'host.files',
  'image.remove': 'image.delete',
  'image.verify': 'image.read',
  'host.shutdown': 'host.change',
  'user.show': 'self',
  'user.password': 'self',
  'user.totpBegin': 'self',
  'user.totpConfirm': 'self',
  'user.can': 'self',
  'session.create': 'public',
  'session.redeem': 'public',
  'session.show': 'self',
  'session.list': 'self',
  'session.remove': 'self',
  'session.ticket': 'vm.console',
  'token.create': 'self',
  'token.list': 'self',
  'token.remove': 'self',
  'audit.verify': 'audit.read',
};

export function permissionOf({ id, method }: Pick<Operation, 'id' | 'method'>): string {
  const known = special[id];
  if (known !== undefined) return known;
  const [noun = '', verb = ''] = id.split('.');
  if (noun === 'vm' && operate.includes(verb)) return 'vm.operate';
  return `${noun}.${method === 'GET' ? 'read' : 'change'}`;
}

/** Whether the audit log records it: what changes something, and what reaches into a guest or reads a host's files. */
export function isAudited({ id, method, transport }: Pick<Operation, 'id' | 'method' | 'transport'>): boolean {
  return method !== 'GET' || transport === 'socket' || id === 'vm.copyOut' || id === 'network.capture' || id === 'vm.view';
}
