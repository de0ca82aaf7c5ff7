// Publishes the names of VMs on the host: in a section of /etc/hosts, which works with every resolver. Each state directory has a section of its own
// between two marker lines; everything else in the file stays, and takes precedence.
import { chmod, chown, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { lockFile } from '../../host/file/lock.ts';
import { isUsable } from '../../host/file/usable.ts';
import { fullName, hostLock } from '../kernel/interface-names.ts';
import { type Desired, hasUplink } from '../model.ts';

/** A line of the section. */
export interface HostName {
  readonly address: string;
  readonly name: string;
}

/** Writing takes milliseconds. */
const lockDeadlineMs = 5000;

const usualFile = '/etc/hosts';

/** The file named by VIV_HOST_NAMES (default: /etc/hosts); null: none. Only root's VMs are reachable by their addresses. */
export function hostNamesFile(env: NodeJS.ProcessEnv, asRoot: boolean): string | null {
  const file = env['VIV_HOST_NAMES'] || usualFile;
  return !asRoot || file === 'none' ? null : file;
}

/** Names of the VMs that the host reaches. Pure. */
export function hostNamesOf({ networks, ports }: Pick<Desired, 'networks' | 'ports'>): HostName[] {
  const reached = new Set(networks.filter(hasUplink).map(({ name }) => name));
  return ports.flatMap(({ vm, network, ipv4, ipv6, vlan }) =>
    vm === null || vlan !== null || !reached.has(network)
      ? []
      : [ipv4, ipv6].flatMap((address) => (address === null ? [] : [{ address, name: fullName(vm, network) }])),
  );
}

export class HostNames {
  readonly #file: string | null;
  readonly #stateDirectory: string;
  readonly #lock: string;
  readonly #usual: string;
  /** The section in the usual file has been removed, where another file is used. */
  #moved = false;
  #desired: readonly HostName[] = [];
  /** Version of the file when it was correct last; null: not known to be correct. */
  #seen: string | null = null;
  #problem: string | null = null;
  /** Names that other lines of the file define. */
  #overridden: readonly string[] = [];

  /** @param file null: nothing is published */
  constructor(file: string | null, stateDirectory: string, { lock = hostLock, usual = usualFile }: { lock?: string; usual?: string } = {}) {
    this.#file = file;
    this.#stateDirectory = stateDirectory;
    this.#lock = lock;
    this.#usual = usual;
  }

  /** Why the host does not resolve the names; null: it does. */
  get problem(): string | null {
    const [name, ...more] = this.#overridden;
    if (this.#problem !== null || name === undefined) return this.#problem;
    return `another line of ${this.#file} defines ${name}${more.length > 0 ? ` and ${more.length} more` : ''}, so the name does not resolve to the VM`;
  }

  /** Replaces the section. Never throws: `problem` has the reason of a failure. Repeatable. */
  async publish(names: readonly HostName[]): Promise<void> {
    await this.#move();
    const same = JSON.stringify(names) === JSON.stringify(this.#desired);
    this.#desired = names;
    if (!same || this.#seen === null) await this.#write();
  }

  /** Writes the section again where the file was changed or could not be written. */
  async check(): Promise<void> {
    if (this.#file === null || (this.#seen !== null && this.#seen === (await versionOf(this.#file)))) return;
    await this.#write();
  }

  /** An earlier daemon may have used the usual file. */
  async #move(): Promise<void> {
    if (this.#moved || this.#file === this.#usual) return;
    const text = await readFile(this.#usual, 'latin1').catch(() => '');
    const former = new HostNames(this.#usual, this.#stateDirectory, { lock: this.#lock });
    if (text.includes(first(this.#stateDirectory))) await former.#write();
    this.#moved = former.#problem === null;
  }

  async #write(): Promise<void> {
    if (this.#file === null) return;
    this.#seen = null;
    try {
      if (!isAbsolute(this.#file)) throw new Error('the path is not absolute');
      const file = await realpath(this.#file);
      if (!(await stat(file)).isFile()) throw new Error('it is not a regular file');
      using _ = await lockFile(this.#lock, lockDeadlineMs);
      const before = await versionOf(file);
      const text = await readFile(file, 'latin1'); // keeps arbitrary bytes of others
      const { text: after, overridden } = merged(await withoutGone(text, this.#stateDirectory), this.#stateDirectory, this.#desired);
      this.#overridden = overridden;
      this.#seen = after === text ? before : await replace(file, after, text);
      this.#problem = null;
    } catch (error) {
      this.#problem = `the host does not resolve the names of VMs, because ${this.#file} could not be written: ${(error as Error).message}`;
    }
  }
}

/** Changes whenever the file is written or replaced. */
async function versionOf(file: string): Promise<string> {
  const found = await stat(file, { bigint: true }).catch(() => null);
  return found === null ? 'none' : [found.ino, found.size, found.mtimeNs].join(' ');
}

const first = (stateDirectory: string) =>
  `# Vivarium ${quoted(stateDirectory)}: names of its VMs. What is changed between these two lines is lost.\n`;
const last = (stateDirectory: string) => `# Vivarium ${quoted(stateDirectory)} ends here.\n`;
/** In the encoding in which the file is read. */
const quoted = (stateDirectory: string) => Buffer.from(JSON.stringify(stateDirectory)).toString('latin1');

/**
 * The file with these names as the section of this state directory, which keeps its place. Without names there is no section. Pure.
 */
export const withNames = (text: string, stateDirectory: string, names: readonly HostName[]): string =>
  merged(text, stateDirectory, names).text;

/** `overridden`: names that other lines define. */
function merged(text: string, stateDirectory: string, names: readonly HostName[]): { text: string; overridden: string[] } {
  const { before, after } = around(text, stateDirectory);
  const others = `${before}${after}`.split('\n').map((line) => line.replace(/#.*/, '').trim().split(/\s+/));
  const taken = new Set(others.flatMap(([, ...defined]) => defined.map((name) => name.toLowerCase())));
  const isTaken = ({ name }: HostName) => taken.has(name.toLowerCase());
  const overridden = [...new Set(names.filter(isTaken).map(({ name }) => name))];
  const lines = names.filter((one) => !isTaken(one)).map(({ address, name }) => `${address} ${name}\n`);
  if (lines.length === 0) return { text: `${before}${after}`, overridden };
  const gap = before === '' || before.endsWith('\n') ? '' : '\n';
  return { text: [before, gap, first(stateDirectory), ...lines, last(stateDirectory), after].join(''), overridden };
}

/** The text before and after the section. A marker line that has lost its other end is dropped. */
function around(text: string, stateDirectory: string): { before: string; after: string } {
  for (let end = text.indexOf(last(stateDirectory)); end !== -1; end = text.indexOf(last(stateDirectory), end + 1)) {
    const begin = text.lastIndexOf(first(stateDirectory), end);
    if (begin === -1) continue;
    const strip = (part: string) => part.replaceAll(first(stateDirectory), '').replaceAll(last(stateDirectory), '');
    return { before: strip(text.slice(0, begin)), after: strip(text.slice(end + last(stateDirectory).length)) };
  }
  return { before: text.replaceAll(first(stateDirectory), '').replaceAll(last(stateDirectory), ''), after: '' };
}

/** Without the sections of state directories that do not exist any more. */
async function withoutGone(text: string, own: string): Promise<string> {
  let left = text;
  for (const [, word = '""'] of text.matchAll(/^# Vivarium (".*"): /gm)) {
    const stateDirectory = (() => {
      try {
        return String(JSON.parse(Buffer.from(word, 'latin1').toString()));
      } catch {
        return own;
      }
    })();
    if (stateDirectory !== own && !(await isUsable(stateDirectory))) left = withNames(left, stateDirectory, []);
  }
  return left;
}

/** Atomically; in place where the file cannot be replaced (a bind mount of a container). @returns the new version (versionOf) */
async function replace(file: string, text: string, before: string): Promise<string> {
  const { mode, uid, gid } = await stat(file);
  const fresh = join(dirname(file), `.${basename(file)}.viv-new`);
  try {
    await writeFile(fresh, text, { mode: mode & 0o777, flush: true, encoding: 'latin1' });
    await chmod(fresh, mode & 0o777);
    await chown(fresh, uid, gid);
    const written = await versionOf(fresh);
    await rename(fresh, file);
    return written;
  } catch (error) {
    await rm(fresh, { force: true });
    if (!['EBUSY', 'EROFS', 'EXDEV'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    const handle = await open(file, 'r+');
    try {
      const put = async (whole: string) => {
        const bytes = Buffer.from(whole, 'latin1');
        const { bytesWritten } = await handle.write(bytes, 0, bytes.length, 0);
        if (bytesWritten < bytes.length) throw new Error('the disk is full');
        await handle.truncate(bytes.length);
        await handle.sync();
      };
      // The previous content fits again.
      await put(text).catch(async (failure: unknown) => {
        await put(before);
        throw failure;
      });
    } finally {
      await handle.close();
    }
    return versionOf(file);
  }
}
