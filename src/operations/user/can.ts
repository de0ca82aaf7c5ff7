// `user.can`: the very decision that a request of this user would meet.
import type { Target } from '../../access/role/decide.ts';
import { VivError } from '../../contract/errors.ts';
import { operationList } from '../../contract/index.ts';
import { findImage, findNetwork, findProject, findVm, imageTarget, networkTarget, projectTarget, vmTarget } from '../access/objects.ts';
import { scopeText } from '../access/scope.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { checkOwnOr, identityOf } from './one.ts';

export const handler: HandlerOf<'user.can'> = async ({ user: name, verb, object }, call) => {
  checkOwnOr('user.read', name, call);
  const { services } = call;
  const user = services.access.users.get(name);
  const permission = permissionFor(verb, object);
  const identity = services.access.byActor({ user: user.id, name, via: 'socket', session: null, token: null, from: null });
  const target = object === undefined ? null : await targetOf(object, call);
  const found = identity.through(permission, target);
  const on = found && scopeText(found.scope, services);
  const allowed = found !== undefined;
  const why = user.disabled ? 'is disabled' : `has no role with ${permission} on ${object ?? 'the host'}`;
  return { allowed, permission, reason: allowed ? null : `${name} ${why}`, through: found && on ? [{ role: found.role, on }] : [] };

  function targetOf(text: string, { services: known }: { services: Services }): Target | Promise<Target> {
    const viewer = identityOf(call);
    const at = text.indexOf(':');
    const [kind, ref] = at === -1 ? ['vm', text] : [text.slice(0, at), text.slice(at + 1)];
    if (kind === 'vm') return vmTarget(findVm(ref, viewer, known));
    if (kind === 'network') return networkTarget(findNetwork(ref, viewer, known));
    if (kind === 'project') return projectTarget(findProject(ref, viewer, known).id);
    if (kind === 'image') return findImage(ref, viewer, known).then((image) => imageTarget(image, known));
    throw new VivError('invalid', `${text} is not an object; write a VM’s name, or project:NAME, network:NAME or image:NAME`);
  }
};

/** Of `vm.read`, of the operation `vm.start`, or of the verb `start` of what the object is. */
function permissionFor(verb: string, object: string | undefined): string {
  const kind = object === undefined ? 'host' : object.includes(':') ? object.slice(0, object.indexOf(':')) : 'vm';
  const operation = operationList.find(({ id }) => id === verb || id === `${kind}.${verb}`);
  if (operation) return operation.permission;
  if (operationList.some((one) => one.permission === verb)) return verb;
  throw new VivError('invalid', `${verb} is neither a permission nor something that can be done to this; try start, vm.start or vm.read`);
}
