// The hosts that `viv` knows: a file of the user's own with each one's address, the certificate that is trusted for it and the secret of the session.
// VIV_HOST and VIV_TOKEN go before it; without either, or with the context `local`, it is this computer's daemon.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { VivError } from '../contract/errors.ts';
import type { Remote } from '../sdk/remote.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface HostContext {
  readonly url: string;
  readonly user: string;
  readonly token: string;
  /** Null: what the system trusts. */
  readonly ca: string | null;
}

export interface Contexts {
  readonly current: string;
  readonly hosts: Readonly<Record<string, HostContext>>;
}

export const localContext = 'local';

const fileOf = (env: Env) => join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'vivarium', 'contexts.json');

export async function readContexts(env: Env): Promise<Contexts> {
  const file = fileOf(env);
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Contexts;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { current: localContext, hosts: {} };
    throw new VivError(
      'corrupt',
      `${file} cannot be read (${(error as Error).message}); mend it or remove it, and sign in again: viv login`,
      { cause: error },
    );
  }
}

/** Nobody else may read it: it holds secrets. */
export async function writeContexts(env: Env, contexts: Contexts): Promise<void> {
  const file = fileOf(env);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(`${file}.new`, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** The host that commands go to; undefined: this computer's. @throws corrupt, not_found, invalid */
export async function chosenHost(env: Env): Promise<Remote | undefined> {
  const url = env['VIV_HOST'];
  const token = env['VIV_TOKEN'];
  if (url === localContext) return undefined;
  const { current, hosts } = await readContexts(env);
  if (url) {
    const { checkUrl } = await import('../sdk/remote.ts');
    const { origin } = checkUrl(url);
    // A host that was signed in to is trusted by the certificate that was pinned then.
    const known = Object.values(hosts).find((host) => host.url === origin);
    const ca = env['VIV_CA'] ? await readFile(env['VIV_CA'], 'utf8') : (known?.ca ?? undefined);
    return { url: origin, token: token || known?.token, ca };
  }
  if (env['VIV_HOME'] || current === localContext) return undefined;
  const host = hosts[current];
  if (!host)
    throw new VivError(
      'not_found',
      `there is no context ${current}; viv context ls lists them, and viv context use local chooses this computer`,
    );
  return { url: host.url, token: token || host.token, ca: host.ca ?? undefined };
}
