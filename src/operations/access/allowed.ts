// What somebody may do to a VM now, and why not: its state, the permissions and the project's quotas in one answer, for clients that explain a disabled action.
import type { Identity } from '../../access/identity.ts';
import { overQuota } from '../../access/project/quota.ts';
import { operationList } from '../../contract/index.ts';
import { type Verb, verdicts } from '../../contract/vm-verdicts.ts';
import { rulingOf } from '../../vm/decide.ts';
import type { Vm } from '../../vm/vm.ts';
import { type Known, vmTarget } from './objects.ts';
import { addedBy, usageOf } from './usage.ts';

const operationOf = (verb: Verb): string => (verb === 'snapshot' ? 'snapshot.create' : `vm.${verb}`);
const permissions = new Map(operationList.map(({ id, permission }) => [id, permission]));

export async function allowedOn(vm: Vm, identity: Identity, known: Known): Promise<Record<string, true | string>> {
  const verbs = Object.keys(verdicts) as Verb[];
  const reasons = await Promise.all(verbs.map(async (verb) => [verb, (await reasonAgainst(vm, verb, identity, known)) ?? true] as const));
  return Object.fromEntries(reasons);
}

async function reasonAgainst(vm: Vm, verb: Verb, identity: Identity, known: Known): Promise<string | null> {
  const operation = operationOf(verb);
  const permission = permissions.get(operation) ?? operation;
  if (!identity.may(permission, vmTarget(vm))) return `${identity.name} has no role with ${permission} here; ask an administrator`;
  const ruling = rulingOf(verb, { state: vm.record.state, unreadable: vm.unreadable });
  if (typeof ruling === 'object') return ruling.deny;
  const added = await addedBy(operation, { vm: vm.id }, known);
  const owner = added && known.access.projects.byId(added.project);
  return owner ? overQuota(owner.name, owner.quotas, usageOf(owner.id, known), added.adds) : null;
}
