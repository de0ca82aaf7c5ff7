// Everybody who may ask, and what each may by the words of the documentation: roles of the contract, on the host, a project or one object, within a token's
// limits, as long as the credential holds.
import { newSecret } from '../../../src/access/secret.ts';
import { write } from '../../../src/access/table.ts';
import type { Scope } from '../../../src/access/user/record.ts';
import type { Permission } from '../../../src/contract/operation.ts';
import { type BuiltInRole, roleAllows } from '../../../src/contract/permission.ts';
import type { World } from './world.ts';

/** Where something belongs: a project, the host (`host`), or, for a role or a token, one VM (`vm:bluevm`). */
type Place = string;

export interface Held {
  readonly role: BuiltInRole;
  readonly on: Place;
}

export interface TestCaller {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  /** `none`: no credential; `wrong`: one that does not hold. */
  readonly credential: 'none' | 'wrong' | 'good';
  readonly grants: readonly Held[];
  readonly limit?: { readonly permissions: readonly string[]; readonly on: Place };
}

const hourMs = 3_600_000;

export async function makeCallers(world: World): Promise<TestCaller[]> {
  const { access, clock, commit } = world;
  const now = () => Date.now() + clock.ahead;
  const scopeOf = (on: Place): Scope => {
    const project = access.projects.byName(on);
    return project ? { kind: 'project', id: project.id } : { kind: 'host' };
  };
  const user = async (name: string, grants: readonly Held[]) =>
    access.users.create(
      { name, password: null, uid: null, grants: grants.map(({ role, on }) => ({ role, scope: scopeOf(on) })) },
      commit,
      now(),
    );
  const session = async (name: string) => {
    const { secret, writes } = access.sessions.begin(access.users.get(name).id, 'password', { address: null, client: null });
    await write(commit, ...writes);
    return secret;
  };
  const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
  const signedIn = async (name: string, grants: readonly Held[]): Promise<TestCaller> => {
    await user(name, grants);
    return { name, headers: bearer(await session(name)), credential: 'good', grants };
  };
  const admin: readonly Held[] = [{ role: 'administrator', on: 'host' }];
  const token = async (owner: string, given: { permissions?: string[]; scopes?: Scope[]; lifeMs?: number }) =>
    access.tokens.create(
      {
        ...{ name: 'test', userId: access.users.get(owner).id, expiresAt: now() + (given.lifeMs ?? 48 * hourMs) },
        ...{ permissions: given.permissions ?? null, scopes: given.scopes ?? null },
      },
      commit,
    );
  const wrong = (name: string, secret: string): TestCaller => ({ name, headers: bearer(secret), credential: 'wrong', grants: [] });

  await user('owner', admin);
  await user('demoted', [{ role: 'operator', on: 'host' }]);
  await user('disabled', admin);
  const expiredSession = await session('owner');
  const expiredToken = await token('owner', { lifeMs: hourMs });
  clock.ahead += 13 * hourMs; // a session ends 12 hours after its last use
  const revoked = await session('owner');
  await access.sessions.end(access.sessions.find(revoked)?.id ?? '', null, commit);
  const revokedToken = await token('owner', {});
  await access.tokens.remove(revokedToken.token.id, null, commit);
  const disabled = await session('disabled');
  await access.users.update('disabled', () => ({ disabled: true }), commit);
  const demoted = await token('demoted', {});
  await access.users.update('demoted', () => ({ grants: [] }), commit);
  const bluevm = world.vmId('bluevm');
  await session('owner');
  const smaller = await token('owner', { permissions: ['vm.read', 'vm.start'], scopes: [{ kind: 'vm', id: bluevm }] });

  return [
    { name: 'none', headers: {}, credential: 'none', grants: [] },
    wrong('unknown secret', newSecret('token')),
    wrong('expired session', expiredSession),
    wrong('expired token', expiredToken.secret),
    wrong('revoked session', revoked),
    wrong('revoked token', revokedToken.secret),
    wrong('disabled user', disabled),
    { name: 'demoted owner’s token', headers: bearer(demoted.secret), credential: 'good', grants: [] },
    {
      ...{ name: 'smaller token', headers: bearer(smaller.secret), credential: 'good', grants: admin },
      limit: { permissions: ['vm.read', 'vm.start'], on: 'vm:bluevm' },
    },
    await signedIn('no-role', []),
    await signedIn('wrong-project', [{ role: 'operator', on: 'red' }]),
    await signedIn('blue-operator', [{ role: 'operator', on: 'blue' }]),
    await signedIn('blue-viewer', [{ role: 'viewer', on: 'blue' }]),
    await signedIn('blue-administrator', [{ role: 'administrator', on: 'blue' }]),
    await signedIn('viewer', [{ role: 'viewer', on: 'host' }]),
    await signedIn('operator', [{ role: 'operator', on: 'host' }]),
    await signedIn('auditor', [{ role: 'auditor', on: 'host' }]),
    await signedIn('administrator', admin),
  ];
}

/** What a request acts on: where it belongs, and the one object, such as `vm:bluevm`. Null: the host as a whole. */
export interface Thing {
  readonly owner: string;
  readonly object: string;
}

export function may({ grants, limit }: TestCaller, permission: string, thing: Thing | null): boolean {
  const free = thing !== null && thing.owner === 'host' && /^(image|network):/.test(thing.object) && /\.(read|use)$/.test(permission);
  const covers = (on: Place) => on === 'host' || (thing !== null && (on === thing.owner || on === thing.object));
  if (limit && !(limit.permissions.includes(permission) && (free || covers(limit.on)))) return false;
  return grants.some(({ role, on }) => (free || covers(on)) && roleAllows(role, permission as Permission));
}

export const mayAnywhere = ({ grants, limit }: TestCaller, permission: string): boolean =>
  (limit === undefined || limit.permissions.includes(permission)) && grants.some(({ role }) => roleAllows(role, permission as Permission));
