// The names of VMs for the host itself: a part of its /etc/hosts, which every program of the host reads, whichever resolver it has. Each home
// has a part of its own between two lines; what others wrote there, and what they told of a name, stays.
import { chmod, chown, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { lockFile } from '../../host/lock.ts';
import { isUsable } from '../../host/usable.ts';
import { fullName, hostLock } from '../kernel/interface-names.ts';
import { type Desired, leadsOut } from '../model.ts';

/** An address and the name that leads to it. */
export interface HostName {
  readonly address: string;
  readonly name: string;
}

/** Writing takes milliseconds. */
const lockDeadlineMs = 5000;

const usualFile = '/etc/hosts';

/** The file that VIV_HOST_NAMES asks for, or none; /etc/hosts where nothing is said. Only root's VMs are reached by their addresses. */
export function hostNamesFile(env: NodeJS.ProcessEnv, asRoot: boolean): string | null {
  const asked = env['VIV_HOST_NAMES'] || usualFile;
  return !asRoot || asked === 'none' ? null : asked;
}

/** Of the VMs that the host reaches. Pure. */
export function hostNamesOf({ networks, ports }: Pick<Desired, 'networks' | 'ports'>): HostName[] {
  const reached = new Set(networks.filter(leadsOut).map(({ name }) => name));
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
  /** The part in the usual file is gone, where another one is written. */
  #moved = false;
  #desired: readonly HostName[] = [];
  /** The file as it was when it was right last; null: it is not known to be. */
  #seen: string | null = null;
  #problem: string | null = null;
  /** What of it leads elsewhere, because others tell it. */
  #elsewhere: readonly string[] = [];

  /** @param file null: the host is told nothing */
  constructor(file: string | null, stateDirectory: string, { lock = hostLock, usual = usualFile }: { lock?: string; usual?: string } = {}) {
    this.#file = file;
    this.#stateDirectory = stateDirectory;
    this.#lock = lock;
    this.#usual = usual;
  }

  /** Why the host does not know the names; null: it does. */
  get problem(): string | null {
    const [name, ...more] = this.#elsewhere;
    if (this.#problem !== null || name === undefined) return this.#problem;
    return `in ${this.#file} somebody else tells of ${name}${more.length > 0 ? ` and ${more.length} more` : ''}, so it does not lead to this home’s VM`;
  }

  /** The host knows these from here on and no others of this home. Where it cannot, problem says why: VMs run all the same. Repeatable. */
  async tell(names: readonly HostName[]): Promise<void> {
    await this.#move();
    const same = JSON.stringify(names) === JSON.stringify(this.#desired);
    this.#desired = names;
    if (!same || this.#seen === null) await this.#write();
  }

  /** Writes them again where somebody has changed the file, or it could not be written. */
  async look(): Promise<void> {
    if (this.#file === null || (this.#seen !== null && this.#seen === (await seen(this.#file)))) return;
    await this.#write();
  }

  /** An earlier daemon of this home may have been told to write the usual file. */
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
      if (!isAbsolute(this.#file)) throw new Error('it is named by no absolute path');
      const file = await realpath(this.#file);
      if (!(await stat(file)).isFile()) throw new Error('it is no file');
      using _ = await lockFile(this.#lock, lockDeadlineMs);
      const before = await seen(file);
      const text = await readFile(file, 'latin1'); // whatever bytes others wrote, they stay
      const { text: after, elsewhere } = merged(await withoutGone(text, this.#stateDirectory), this.#stateDirectory, this.#desired);
      this.#elsewhere = elsewhere;
      this.#seen = after === text ? before : await replace(file, after, text);
      this.#problem = null;
    } catch (error) {
      this.#problem = `the host does not know VMs by name, because ${this.#file} could not be written: ${(error as Error).message}`;
    }
  }
}

/** Another text whenever somebody has written it or put another file in its place. */
async function seen(file: string): Promise<string> {
  const found = await stat(file, { bigint: true }).catch(() => null);
  return found === null ? 'none' : [found.ino, found.size, found.mtimeNs].join(' ');
}

const first = (stateDirectory: string) =>
  `# Vivarium ${quoted(stateDirectory)}: names of its VMs. What is changed between these two lines is lost.\n`;
const last = (stateDirectory: string) => `# Vivarium ${quoted(stateDirectory)} ends here.\n`;
/** In bytes, as the file is read. */
const quoted = (stateDirectory: string) => Buffer.from(JSON.stringify(stateDirectory)).toString('latin1');

/**
 * A file of hosts with these names as the part of this home, which stays where it is; what others say of a name counts. No names: without such
 * a part. Pure.
 */
export const withNames = (text: string, stateDirectory: string, names: readonly HostName[]): string =>
  merged(text, stateDirectory, names).text;

/** `elsewhere`: names that others tell. */
function merged(text: string, stateDirectory: string, names: readonly HostName[]): { text: string; elsewhere: string[] } {
  const { before, after } = around(text, stateDirectory);
  const others = `${before}${after}`.split('\n').map((line) => line.replace(/#.*/, '').trim().split(/\s+/));
  const taken = new Set(others.flatMap(([, ...told]) => told.map((name) => name.toLowerCase())));
  const isTaken = ({ name }: HostName) => taken.has(name.toLowerCase());
  const elsewhere = [...new Set(names.filter(isTaken).map(({ name }) => name))];
  const lines = names.filter((one) => !isTaken(one)).map(({ address, name }) => `${address} ${name}\n`);
  if (lines.length === 0) return { text: `${before}${after}`, elsewhere };
  const gap = before === '' || before.endsWith('\n') ? '' : '\n';
  return { text: [before, gap, first(stateDirectory), ...lines, last(stateDirectory), after].join(''), elsewhere };
}

/** What stands before and after the part of this home: all of it before, where there is none. A line of it that has lost the other is dropped. */
function around(text: string, stateDirectory: string): { before: string; after: string } {
  for (let end = text.indexOf(last(stateDirectory)); end !== -1; end = text.indexOf(last(stateDirectory), end + 1)) {
    const begin = text.lastIndexOf(first(stateDirectory), end);
    if (begin === -1) continue;
    const strip = (part: string) => part.replaceAll(first(stateDirectory), '').replaceAll(last(stateDirectory), '');
    return { before: strip(text.slice(0, begin)), after: strip(text.slice(end + last(stateDirectory).length)) };
  }
  return { before: text.replaceAll(first(stateDirectory), '').replaceAll(last(stateDirectory), ''), after: '' };
}

/** Parts of homes that are not there any more have nobody to take them away. */
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

/** In one step; where no other file can be put in its place (a container's), in place. @returns the new one as seen() tells it */
async function replace(file: string, text: string, before: string): Promise<string> {
  const { mode, uid, gid } = await stat(file);
  const fresh = join(dirname(file), `.${basename(file)}.viv-new`);
  try {
    await writeFile(fresh, text, { mode: mode & 0o777, flush: true, encoding: 'latin1' });
    await chmod(fresh, mode & 0o777);
    await chown(fresh, uid, gid);
    const written = await seen(fresh);
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
        if (bytesWritten < bytes.length) throw new Error('there is no room for it');
        await handle.truncate(bytes.length);
        await handle.sync();
      };
      // Whatever was there before has room there again.
      await put(text).catch(async (failure: unknown) => {
        await put(before);
        throw failure;
      });
    } finally {
      await handle.close();
    }
    return seen(file);
  }
}
