// Which process uses a port of this host, found as `ss -p` does: from the kernel's socket tables and the descriptors of processes.
import { readdir, readFile, readlink } from 'node:fs/promises';

interface Socket {
  readonly inode: string;
  readonly uid: number;
  readonly state: string;
}

/** tcp_states.h */
const listens = '0A';

/**
 * `nginx (pid 12)`, or the user where the process cannot be seen; null: not found.
 * @param address null: any address of the host
 */
export async function portOwner(protocol: 'tcp' | 'udp', address: string | null, port: number): Promise<string | null> {
  const tables = await Promise.all([protocol, `${protocol}6`].map((name) => readFile(`/proc/self/net/${name}`, 'utf8').catch(() => '')));
  const desired = address === null || /^[0.:]+$/.test(address) ? null : hexOf(address);
  const all = tables.flatMap((table) => socketsIn(table, port, desired));
  const listening = all.filter(({ state }) => state === listens);
  // An outgoing connection uses its port exclusively too.
  const sockets = listening.length > 0 ? listening : all;
  if (sockets.length === 0) return null;
  const inodes = new Set(sockets.map(({ inode }) => `socket:[${inode}]`));
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).sort((one, other) => Number(one) - Number(other));
  for (const pid of pids)
    if (await hasOne(pid, inodes)) return `${(await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'a process')).trim()} (pid ${pid})`;
  return `a process of the user ${await userName(sockets[0]?.uid)}, which only root can look into`;
}

/** passwd(5); the number where it has no name there. */
async function userName(uid: number | undefined): Promise<string> {
  const lines = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'));
  return lines.find(([, , number]) => number === String(uid))?.[0] ?? String(uid);
}

/** Pure. From /proc/net/tcp and its like. @param address as the table writes it; null: any */
export function socketsIn(table: string, port: number, address: string | null): Socket[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state = '', , , , uid, , inode] = line.trim().split(/\s+/);
    const [host = '', number = ''] = local.split(':');
    // One without an inode is the kernel's own memory of a connection.
    if (inode === undefined || inode === '0' || Number.parseInt(number, 16) !== port) return [];
    return address === null || host === address || /^0+$/.test(host) ? [{ inode, uid: Number(uid), state }] : [];
  });
}

/** An address as the kernel's tables write it: 32-bit words in host byte order. Pure. */
export function hexOf(address: string): string {
  const bytes = address.includes(':') ? wide(address) : address.split('.').map(Number);
  const hex = bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, '0'));
  return Array.from({ length: hex.length / 4 }, (_, word) =>
    hex
      .slice(word * 4, word * 4 + 4)
      .reverse()
      .join(''),
  ).join('');
}

function wide(address: string): number[] {
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string | undefined) =>
    text === undefined || text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const [before, after] = [groups(head), groups(tail)];
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after].flatMap((group) => [group >> 8, group & 255]);
}

async function hasOne(pid: string, inodes: ReadonlySet<string>): Promise<boolean> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const name of names) if (inodes.has(await readlink(`/proc/${pid}/fd/${name}`).catch(() => ''))) return true;
  return false;
}
