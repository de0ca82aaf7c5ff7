// The names of machines for the host itself: a part of its /etc/hosts, which every program of the host reads, whichever resolver it has. Each home
// has a part of its own between two lines; what others wrote there, and what they told of a name, stays.
import { chmod, chown, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { lockFolder } from '../host/lock.ts';
import { isUsable } from '../host/usable.ts';
import type { Wanted } from './model.ts';
import { fullName } from './names.ts';

/** An address and the name that leads to it. */
export interface HostName {
  readonly address: string;
  readonly name: string;
}

const lockDeadlineMs = 5000;

/** The file that VIV_HOST_NAMES asks for, or none; /etc/hosts where nothing is said. Only root's machines are reached by their addresses. */
export function hostNamesFile(env: NodeJS.ProcessEnv, asRoot: boolean): string | null {
  const asked = env['VIV_HOST_NAMES'] || '/etc/hosts';
  return !asRoot || asked === 'none' ? null : asked;
}

/** Of the machines that the host reaches. Pure. */
export function hostNamesOf({ networks, ports }: Pick<Wanted, 'networks' | 'ports'>): HostName[] {
  const reached = new Set(networks.filter(({ kind }) => kind === 'nat' || kind === 'routed').map(({ name }) => name));
  return ports.flatMap(({ machine, network, ipv4, ipv6 }) =>
    machine === null || !reached.has(network)
      ? []
      : [ipv4, ipv6].flatMap((address) => (address === null ? [] : [{ address, name: fullName(machine, network) }])),
  );
}

export class HostNames {
  readonly #file: string | null;
  readonly #home: string;
  /** Null: not known. */
  #told: string | null = null;
  /** When the file was written last, as it was seen then. */
  #seenMs = 0;
  #problem: string | null = null;

  /** @param file null: the host is told nothing */
  constructor(file: string | null, home: string) {
    this.#file = file;
    this.#home = home;
  }

  /** Why the host does not know the names; null: it does. */
  get problem(): string | null {
    return this.#problem;
  }

  /** The host knows these from here on and no others of this home. Where it cannot, problem says why: machines run all the same. Repeatable. */
  async tell(names: readonly HostName[]): Promise<void> {
    const told = names.map(({ address, name }) => `${address} ${name}`).join('\n');
    if (this.#file === null || told === this.#told) return;
    try {
      if (!isAbsolute(this.#file)) throw new Error('it is named by no absolute path');
      const file = await realpath(this.#file);
      using _ = await lockFolder(dirname(file), lockDeadlineMs);
      const before = await readFile(file, 'utf8');
      const after = withNames(await withoutGone(before, this.#home), this.#home, names);
      if (after !== before) await replace(file, after);
      this.#seenMs = (await stat(file)).mtimeMs;
      this.#told = told;
      this.#problem = null;
    } catch (error) {
      this.#problem = `the host does not know machines by name, because ${this.#file} could not be written: ${(error as Error).message}`;
    }
  }

  /** Whether nobody has changed the file since; otherwise it is written anew when names are told next. */
  async whole(): Promise<boolean> {
    if (this.#file === null || this.#told === null) return true;
    const seenMs = await stat(this.#file).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    if (seenMs === this.#seenMs) return true;
    this.#told = null;
    return false;
  }
}

const first = (home: string) =>
  `# Vivarium ${JSON.stringify(home)}: names of its machines. What is changed between these two lines is lost.`;
const last = (home: string) => `# Vivarium ${JSON.stringify(home)} ends here.`;

/** A file of hosts with these names as the part of this home: last, so that what others say of a name counts. None: without such a part. Pure. */
export function withNames(text: string, home: string, names: readonly HostName[]): string {
  const others = without(text, home);
  const taken = new Set(
    others.split('\n').flatMap((line) => {
      const [, ...told] = line.replace(/#.*/, '').trim().split(/\s+/);
      return told.map((name) => name.toLowerCase());
    }),
  );
  const lines = names.filter(({ name }) => !taken.has(name.toLowerCase())).map(({ address, name }) => `${address} ${name}`);
  if (lines.length === 0) return others;
  const gap = others === '' || others.endsWith('\n') ? '' : '\n';
  return `${others}${gap}${[first(home), ...lines, last(home)].join('\n')}\n`;
}

/** Only a part that has both its lines is one. */
function without(text: string, home: string): string {
  const begin = text.indexOf(`${first(home)}\n`);
  const end = text.indexOf(`${last(home)}\n`, begin);
  if (begin === -1 || end === -1) return text;
  return without(text.slice(0, begin) + text.slice(end + last(home).length + 1), home);
}

/** Parts of homes that are not there any more have nobody to take them away. */
async function withoutGone(text: string, own: string): Promise<string> {
  let left = text;
  for (const [, quoted = '""'] of text.matchAll(/^# Vivarium (".*"): /gm)) {
    const home = (() => {
      try {
        return String(JSON.parse(quoted));
      } catch {
        return own;
      }
    })();
    if (home !== own && !(await isUsable(home))) left = without(left, home);
  }
  return left;
}

/** In one step; where the file is one that is mounted (a container's), in place. */
async function replace(file: string, text: string): Promise<void> {
  const { mode, uid, gid } = await stat(file);
  const fresh = join(dirname(file), `.${basename(file)}.viv-new`);
  try {
    await writeFile(fresh, text, { mode: mode & 0o777, flush: true });
    await chmod(fresh, mode & 0o777);
    await chown(fresh, uid, gid);
    await rename(fresh, file);
  } catch (error) {
    await rm(fresh, { force: true });
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
    await writeFile(file, text, { flush: true });
  }
}
