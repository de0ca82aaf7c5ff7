// The user namespace in which an ordinary user builds a Debian: how it is entered, and why it cannot be here: what it needs, and what an
// administrator types to give it.
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { findProgram } from '../../host/process/find-program.ts';

/** Before a program: an ordinary user is root there, and has the uids that /etc/subuid gives (unshare of util-linux 2.38 or newer). */
export const asOwnRoot = ['unshare', '--user', '--map-root-user', '--map-auto'] as const;

export interface NamespaceFacts {
  readonly user: string;
  readonly uid: number;
  readonly newuidmap: boolean;
  /** What /etc/subuid and /etc/subgid say; lines of name:first:count. */
  readonly subuid: string;
  readonly subgid: string;
}

/** Reads the facts of the user that this process runs as. */
export async function namespaceFacts(): Promise<NamespaceFacts> {
  const { username, uid } = userInfo();
  const text = (path: string) => readFile(path, 'utf8').catch(() => '');
  const [newuidmap, subuid, subgid] = await Promise.all([findProgram('newuidmap', process.env), text('/etc/subuid'), text('/etc/subgid')]);
  return { user: username, uid, newuidmap: newuidmap !== null, subuid, subgid };
}

/** The first thing that is missing, as the end of a sentence with what to type. */
export function whyNoNamespace(facts: NamespaceFacts): string {
  if (!facts.newuidmap) return 'newuidmap is not installed; install it as root with: apt-get install uidmap';
  // As many as Debian gives to a new user: the uids of a whole system.
  const enough = (table: string) =>
    table.split('\n').some((line) => {
      const [who, , count] = line.split(':');
      return (who === facts.user || who === String(facts.uid)) && Number(count) >= 65_536;
    });
  if (!enough(facts.subuid) || !enough(facts.subgid))
    return `the user ${facts.user} has no range of uids and gids of its own in /etc/subuid and /etc/subgid; give it one as root with: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${facts.user} (another range where another user has that one)`;
  return 'this host does not let an ordinary user make user namespaces; let it as root with sysctl user.max_user_namespaces=15000 (and, where they exist, kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0), or build as root';
}
