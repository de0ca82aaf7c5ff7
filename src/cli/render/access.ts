// Users, roles, projects, tokens, sessions and audit records for reading.
import type { AuditForward, AuditRecord } from '../../contract/audit.ts';
import type { Project, QuotaName } from '../../contract/project.ts';
import type { Role } from '../../contract/role.ts';
import type { Session } from '../../contract/session.ts';
import type { Token } from '../../contract/token.ts';
import type { User } from '../../contract/user.ts';
import { formatBytes, formatTime } from './quantity.ts';
import { renderSheet, renderTable } from './table.ts';
import { clean } from './text.ts';

type Width = number | undefined;

const grantsOf = ({ grants }: User) => grants.map(({ role, on }) => (on === 'host' ? role : `${role} on ${on}`));
const when = (at: number | null) => (at === null ? 'never' : formatTime(at));

function signInOf({ signIn }: User): string {
  const { password, totp, passkeys, identities } = signIn;
  const means = [password && (totp ? 'password and code' : 'password'), passkeys.length > 0 && 'passkey', identities.length > 0 && 'OIDC'];
  return means.filter((one) => one !== false).join(', ') || 'none';
}

export const userTable = (users: readonly User[], width: Width): string[] =>
  renderTable(
    users,
    [
      { title: 'NAME', value: ({ name }) => name, whole: true },
      { title: 'STATE', value: ({ disabled }) => (disabled ? 'disabled' : 'enabled') },
      { title: 'UID', value: ({ uid }) => (uid === null ? '-' : String(uid)), right: true },
      { title: 'SIGN-IN', value: signInOf },
      { title: 'LAST', value: ({ lastSignInAt }) => when(lastSignInAt) },
      { title: 'ROLES', value: (user) => grantsOf(user).join(', ') || '-' },
    ],
    width,
  );

export const userSheet = (user: User): string[] =>
  renderSheet([
    ['user', user.name],
    ['state', user.disabled ? 'disabled' : 'enabled'],
    ['uid', user.uid === null ? null : String(user.uid)],
    ['roles', grantsOf(user)],
    ['sign-in', signInOf(user)],
    ['recovery codes', user.signIn.totp ? String(user.signIn.recoveryCodes) : null],
    ['passkeys', user.signIn.passkeys.map(({ name, lastUsedAt }) => `${name}, last used ${when(lastUsedAt)}`)],
    ['identities', user.signIn.identities.map(({ issuer, subject }) => `${subject} at ${issuer}`)],
    ['last sign-in', when(user.lastSignInAt)],
    ['created', formatTime(user.createdAt)],
  ]);

export const roleTable = (roles: readonly Role[], width: Width): string[] =>
  renderTable(
    roles,
    [
      { title: 'NAME', value: ({ name }) => name, whole: true },
      { title: 'KIND', value: ({ builtIn }) => (builtIn ? 'built-in' : 'custom') },
      { title: 'PERMISSIONS', value: ({ permissions }) => String(permissions.length), right: true },
      { title: 'SUMMARY', value: ({ summary }) => summary },
    ],
    width,
  );

export const roleSheet = (role: Role): string[] =>
  renderSheet([
    ['role', role.name],
    ['kind', role.builtIn ? 'built-in' : 'custom'],
    ['summary', role.summary],
    ['permissions', role.permissions],
  ]);

export const projectTable = (projects: readonly Project[], width: Width): string[] =>
  renderTable(
    projects,
    [
      { title: 'NAME', value: ({ name }) => name, whole: true },
      { title: 'VMS', value: ({ used, quotas }) => ofLimit(used.vms, quotas.vms, String), right: true },
      { title: 'VCPUS', value: ({ used, quotas }) => ofLimit(used.vcpus, quotas.vcpus, String), right: true },
      { title: 'MEMORY', value: ({ used, quotas }) => ofLimit(used.memoryBytes, quotas.memoryBytes, formatBytes), right: true },
      { title: 'DISK', value: ({ used, quotas }) => ofLimit(used.diskBytes, quotas.diskBytes, formatBytes), right: true },
      { title: 'SUMMARY', value: ({ summary }) => summary },
    ],
    width,
  );

const ofLimit = (used: number, limit: number | null, format: (value: number) => string) =>
  limit === null ? format(used) : `${format(used)} of ${format(limit)}`;

const quotaWords: Readonly<Record<QuotaName, string>> = {
  vms: 'VMs',
  vcpus: 'vCPUs',
  memoryBytes: 'memory',
  diskBytes: 'disk',
  snapshots: 'snapshots',
  networks: 'networks',
  forwards: 'port forwards',
};

export const projectSheet = ({ name, summary, used, quotas, createdAt }: Project): string[] =>
  renderSheet([
    ['project', name],
    ['summary', summary],
    [
      'used',
      (Object.keys(quotaWords) as QuotaName[]).map(
        (quota) => `${ofLimit(used[quota], quotas[quota], quota.endsWith('Bytes') ? formatBytes : String)} ${quotaWords[quota]}`,
      ),
    ],
    ['created', formatTime(createdAt)],
  ]);

export const tokenTable = (tokens: readonly Token[], width: Width): string[] =>
  renderTable(
    tokens,
    [
      { title: 'ID', value: ({ id }) => id, whole: true },
      { title: 'NAME', value: ({ name }) => name },
      { title: 'USER', value: ({ user }) => user },
      { title: 'PERMISSIONS', value: ({ permissions }) => permissions?.join(' ') ?? 'all of the user' },
      { title: 'ON', value: ({ on }) => on?.join(' ') ?? 'all of the user' },
      { title: 'LAST USED', value: ({ lastUsedAt }) => when(lastUsedAt) },
      { title: 'EXPIRES', value: ({ expiresAt }) => formatTime(expiresAt) },
    ],
    width,
  );

export const sessionTable = (sessions: readonly Session[], width: Width): string[] =>
  renderTable(
    sessions,
    [
      { title: 'ID', value: ({ id, current }) => (current ? `${id}*` : id), whole: true },
      { title: 'USER', value: ({ user }) => user },
      { title: 'BY', value: ({ method }) => method },
      { title: 'FROM', value: ({ address }) => address ?? '-' },
      { title: 'CLIENT', value: ({ client }) => client ?? '-' },
      { title: 'LAST USED', value: ({ lastUsedAt }) => formatTime(lastUsedAt) },
      { title: 'EXPIRES', value: ({ expiresAt }) => formatTime(expiresAt) },
    ],
    width,
  );

/** `2026-12-01 10:00:00  ana  vm.start  web  done` */
export function auditLine({ at, actor, operation, objects, outcome, error }: AuditRecord): string {
  const what = objects.map(({ kind, id, name }) => (kind === 'vm' ? (name ?? id) : `${kind}:${name ?? id}`)).join(' ');
  const from = actor.from === null ? '' : ` from ${actor.from}`;
  return clean(
    `${formatTime(at)}  ${`${actor.name}${from}`.padEnd(24)} ${operation.padEnd(18)} ${what}  ${outcome}${error ? `: ${error.message}` : ''}`,
  );
}

export const auditForwardTable = (forwards: readonly AuditForward[], width: Width): string[] =>
  renderTable(
    forwards,
    [
      { title: 'NAME', value: ({ name }) => name, whole: true },
      { title: 'KIND', value: ({ kind }) => kind },
      { title: 'URL', value: ({ url }) => url },
      { title: 'BEHIND', value: ({ behind }) => String(behind), right: true },
      { title: 'LOST', value: ({ lost }) => String(lost), right: true },
      { title: 'DELIVERED', value: ({ deliveredAt }) => when(deliveredAt) },
    ],
    width,
    ({ problem }) => problem,
  );
