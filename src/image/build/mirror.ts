// Where Debian packages come from: what the user names, else the mirror in the host's own apt sources. Parsing is pure;
// findMirror reads the files.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../contract/errors.ts';

/** One line of sources.list or one URI of a deb822 stanza. */
export interface Source {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

export interface Mirror {
  /** Such as http://mirror.example/debian, without a slash at the end. */
  readonly main: string;
  /** The archive of security updates; null when none is known. */
  readonly security: string | null;
  /** True when `security` was derived from `main`: it may not exist. */
  readonly securityGuessed: boolean;
}

/** Binary sources of a one-line-per-source file (`sources.list`, `*.list`). */
export function parseList(text: string): Source[] {
  const sources: Source[] = [];
  for (const line of text.split(/\r?\n/)) {
    const bare = line.replace(/#.*/, '').trim();
    const match = /^deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+(\S+)\s*(.*)$/.exec(bare);
    if (!match) continue;
    const [, uri = '', suite = '', components = ''] = match;
    sources.push({ uri: trimSlash(uri), suites: [suite], components: words(components) });
  }
  return sources;
}

/** Binary sources of a deb822 file (`*.sources`): stanzas of fields, parted by empty lines. */
export function parseDeb822(text: string): Source[] {
  const sources: Source[] = [];
  const lines = text.split(/\r?\n/).filter((line) => !line.startsWith('#'));
  for (const stanza of lines.join('\n').split(/\n\s*\n/)) {
    const fields = new Map<string, string>();
    let current = '';
    for (const line of stanza.split('\n')) {
      const field = /^([A-Za-z0-9-]+)\s*:\s*(.*)$/.exec(line);
      if (field) {
        current = (field[1] as string).toLowerCase();
        fields.set(current, field[2] as string);
      } else if (/^\s/.test(line) && current !== '') fields.set(current, `${fields.get(current)} ${line.trim()}`);
    }
    if (/^(no|false|0|off|disable|without)$/i.test(fields.get('enabled')?.trim() ?? 'yes')) continue;
    if (!words(fields.get('types') ?? '').includes('deb')) continue;
    for (const uri of words(fields.get('uris') ?? ''))
      sources.push({ uri: trimSlash(uri), suites: words(fields.get('suites') ?? ''), components: words(fields.get('components') ?? '') });
  }
  return sources;
}

/** The Debian mirror among the host's sources: that of a main suite, and that of a security suite. */
export function mirrorAmong(sources: readonly Source[]): Mirror | null {
  const usable = sources.filter((source) => /^https?:\/\//.test(source.uri) && source.components.includes('main'));
  const isMain = (suite: string) =>
    /^(bullseye|bookworm|trixie|forky|sid|oldoldstable|oldstable|stable|testing|unstable)(-updates)?$/.test(suite);
  const isSecurity = (suite: string) => /^[a-z]+(-security|\/updates)$/.test(suite);
  const main = usable.find((source) => source.suites.some(isMain))?.uri;
  if (main === undefined) return null;
  const security = usable.find((source) => source.suites.some(isSecurity))?.uri;
  return security === undefined ? { main, ...guessSecurity(main) } : { main, security, securityGuessed: false };
}

/** The mirror a user named. */
export function mirrorNamed(url: string): Mirror {
  if (!/^https?:\/\/[^\s[\]]+$/.test(url))
    throw new VivError('invalid', `"${url}" is not a Debian mirror: give an address such as http://mirror.example/debian`);
  const main = trimSlash(url);
  return { main, ...guessSecurity(main) };
}

/** Public mirrors keep the security archive beside the main one, as debian-security. */
function guessSecurity(main: string): Pick<Mirror, 'security' | 'securityGuessed'> {
  return { security: main.endsWith('/debian') ? `${main}-security` : null, securityGuessed: true };
}

/** @param named what the caller asked for; VIV_MIRROR and then the host's apt sources by default. Throws unsupported. */
export async function findMirror(
  named: string | undefined,
  env: Readonly<Record<string, string | undefined>> = process.env,
  apt = '/etc/apt',
): Promise<Mirror> {
  const asked = named ?? env['VIV_MIRROR'];
  if (asked !== undefined && asked !== '') return mirrorNamed(asked);
  const mirror = mirrorAmong(await readSources(apt));
  if (mirror) return mirror;
  throw new VivError(
    'unsupported',
    `no Debian mirror is named in the apt sources of this host (${apt}); name one with --mirror http://MIRROR/debian or VIV_MIRROR`,
  );
}

async function readSources(apt: string): Promise<Source[]> {
  const parts = await readdir(join(apt, 'sources.list.d')).catch(() => [] as string[]);
  const files = [join(apt, 'sources.list'), ...parts.sort().map((part) => join(apt, 'sources.list.d', part))];
  const sources: Source[] = [];
  for (const file of files) {
    if (!file.endsWith('.list') && !file.endsWith('.sources')) continue;
    const text = await readFile(file, 'utf8').catch(() => '');
    sources.push(...(file.endsWith('.list') ? parseList(text) : parseDeb822(text)));
  }
  return sources;
}

const words = (text: string) => text.split(/\s+/).filter((word) => word !== '');
const trimSlash = (uri: string) => uri.replace(/\/+$/, '');
