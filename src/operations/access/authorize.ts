// The decision about a request, in one place: its names are resolved, its permissions asked for, its project's quotas checked. Asked when a request comes, and
// again with the resolved input when a task's turn has come.
import type { Identity } from '../../access/identity.ts';
import { checkQuota } from '../../access/project/quota.ts';
import type { AuditObject } from '../../contract/audit.ts';
import { VivError } from '../../contract/errors.ts';
import type { Operation } from '../../contract/operation.ts';
import type { Known } from './objects.ts';
import { type Need, requirementsOf } from './requirements.ts';
import { addedBy, usageOf } from './usage.ts';

type Fields = Record<string, unknown>;

export interface Authorized {
  readonly input: Fields;
  readonly objects: readonly AuditObject[];
  /** Whether it is still so: asked for each event of a stream. */
  readonly stillAllowed: () => boolean;
}

/** A refusal, with what it was about for the audit record. */
export class Refused extends VivError {
  readonly objects: readonly AuditObject[];
  constructor(code: 'forbidden' | 'unauthenticated', message: string, objects: readonly AuditObject[] = []) {
    super(code, message);
    this.objects = objects;
  }
}

/** @throws unauthenticated, forbidden, over_quota, and not_found for what the identity may not see */
export async function authorize(operation: Operation, input: Fields, identity: Identity, known: Known): Promise<Authorized> {
  const permission = operation.permission;
  if (permission === 'public') return { input, objects: namedIn('user', input), stillAllowed: () => true };
  if (identity.ref.via === 'none' || !identity.isValid())
    throw new Refused('unauthenticated', 'who is asking is not known; sign in with: viv login, or give a valid token');
  if (permission === 'signed-in')
    return { input, objects: namedIn(operation.id.slice(0, operation.id.indexOf('.')), input), stillAllowed: () => identity.isValid() };
  const resolved = await requirementsOf(operation, input, identity, known);
  const allows = ({ permission: needed, target }: Need) =>
    resolved.anywhere && needed === permission ? identity.mayAnywhere(needed) : identity.may(needed, target);
  const lacking = resolved.needs.find((need) => !allows(need));
  if (lacking) throw new Refused('forbidden', refusal(operation, lacking, identity), resolved.objects);
  const added = await addedBy(operation.id, resolved.input, known);
  const project = added && known.access.projects.byId(added.project);
  if (project) checkQuota(project.name, project.quotas, usageOf(project.id, known), added.adds);
  return { ...resolved, stillAllowed: () => identity.isValid() && resolved.needs.every(allows) };
}

function refusal({ id }: Operation, { permission, target }: Need, { name }: Identity): string {
  const where = target === null ? 'the host' : `this ${target.kind}`;
  return `${id} needs the permission ${permission} on ${where}, which ${name} does not have; ask an administrator for a role with it`;
}

function namedIn(kind: string, input: Fields): AuditObject[] {
  const named = input[kind];
  return typeof named === 'string' ? [{ kind, id: named, name: named }] : [];
}
