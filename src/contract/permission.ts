// The permission that each operation needs, `noun.verb`. `read` sees, `use` lets one's own VMs use it, the others change.
import type { Operation } from './operation.ts';

const special: Readonly<Record<string, string>> = {
  'vm.run': 'vm.create',
  'vm.wait': 'vm.read',
  'vm.logs': 'vm.read',
  'vm.copy-in': 'vm.exec',
  'vm.copy-out': 'vm.exec',
  'snapshot.thumbnail': 'snapshot.read',
  'warm-pool.fill': 'warm-pool.set',
  'flow.list': 'network.capture',
  'flow.follow': 'network.capture',
  'image.import': 'host.files',
  'image.export': 'host.files',
  'user.show': 'signed-in',
  'user.password': 'signed-in',
  'user.totp-begin': 'signed-in',
  'user.totp-confirm': 'signed-in',
  'user.can': 'signed-in',
  'session.create': 'public',
  'session.redeem': 'public',
  'session.show': 'signed-in',
  'session.list': 'signed-in',
  'session.remove': 'signed-in',
  'session.ticket': 'vm.console',
  'token.create': 'signed-in',
  'token.list': 'signed-in',
  'token.remove': 'signed-in',
};

export function permissionOf(operation: Operation): string {
  const { id, method } = operation;
  const known = (operation as { permission?: string }).permission ?? special[id];
  if (known !== undefined) return known;
  const [noun = ''] = id.split('.');
  if (/^(list|show|status|catalog|follow)$/.test(id.slice(noun.length + 1))) return `${noun}.read`;
  if (['user', 'role', 'project', 'audit', 'listener'].includes(noun)) return method === 'GET' ? `${noun}.read` : `${noun}.manage`;
  return id;
}

export function isAudited(operation: Operation): boolean {
  const { method, transport } = operation;
  return (operation as { audit?: boolean }).audit ?? (method !== 'GET' || transport === 'socket');
}
