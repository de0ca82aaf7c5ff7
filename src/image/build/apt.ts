// Fetching Debian packages without root and without touching the host's own package state: apt with folders of its own.
// What it fetches is verified against the keys of debian-archive-keyring.
import { access, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import { ProgramFailed, ProgramMissing, runOk } from '../../host/process/run.ts';
import type { Mirror } from './mirror.ts';

export interface AptContext {
  readonly signal: AbortSignal;
  log(line: string): void;
}

export interface Apt {
  /** What a package depends on, as written: alternatives and versions dropped. */
  depends(name: string): Promise<string[]>;
  /** Downloads into `folder`; resolves to the .deb files in the order asked for. */
  download(names: readonly string[], folder: string): Promise<string[]>;
}

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Debian's name for an architecture. */
export const debianArch = {
  x86_64: 'amd64',
  i386: 'i386',
  aarch64: 'arm64',
  riscv64: 'riscv64',
  ppc64le: 'ppc64el',
  s390x: 's390x',
} as const;

/** Lines for a sources.list: the suite, its updates and its security updates. Pure. */
export function sourceLines(mirror: Mirror, suite: string, options = ''): string[] {
  const deb = (uri: string, name: string) => `deb ${options ? `[${options}] ` : ''}${uri} ${name} main`;
  return [
    deb(mirror.main, suite),
    deb(mirror.main, `${suite}-updates`),
    ...(mirror.security ? [deb(mirror.security, `${suite}-security`)] : []),
  ];
}

export async function requireKeyring(): Promise<string> {
  await access(keyring).catch((cause) => {
    throw new VivError(
      'missing_program',
      `the keys that Debian packages are verified with are not installed (${keyring}); install them with: apt-get install debian-archive-keyring`,
      { cause },
    );
  });
  return keyring;
}

/** Settings of the host's apt that fetching needs (proxies, retries), without its hooks and index targets. */
export async function hostFetchSettings(signal: AbortSignal): Promise<string[]> {
  const dump = await runApt('apt-config', ['dump', '--no-empty', '--format', '%F "%v";%n', 'Acquire'], { signal, log: () => {} });
  return dump
    .split('\n')
    .filter((line) => /^Acquire::(http|https|ftp|Retries|Check-Valid-Until|Check-Date|ForceIPv4|ForceIPv6|Queue-Mode)\b/.test(line));
}

/** Opens a suite of a mirror: reads its indexes into `folder`, which it owns. */
export async function openApt(mirror: Mirror, suite: string, arch: string, folder: string, context: AptContext): Promise<Apt> {
  const signedBy = await requireKeyring();
  for (const part of ['state/lists/partial', 'cache/archives/partial', 'parts']) await mkdir(join(folder, part), { recursive: true });
  await writeFile(join(folder, 'state/status'), '');
  await writeFile(join(folder, 'sources.list'), `${sourceLines(mirror, suite, `signed-by=${signedBy}`).join('\n')}\n`);
  const config = join(folder, 'apt.conf');
  const q = (text: string) => `"${text}"`;
  await writeFile(
    config,
    [
      ...(await hostFetchSettings(context.signal)),
      `Dir::State ${q(join(folder, 'state'))};`,
      `Dir::State::status ${q(join(folder, 'state/status'))};`,
      `Dir::Cache ${q(join(folder, 'cache'))};`,
      `Dir::Etc::SourceList ${q(join(folder, 'sources.list'))};`,
      `Dir::Etc::SourceParts ${q(join(folder, 'parts'))};`,
      `Dir::Etc::Parts ${q(join(folder, 'parts'))};`,
      'Dir::Etc::Main "/dev/null";',
      'Dir::Etc::Trusted "/dev/null";',
      'Dir::Etc::TrustedParts "/dev/null";',
      `APT::Architecture ${q(arch)};`,
      `APT::Architectures { ${q(arch)}; };`,
      'APT::Sandbox::User "root";', // only this process uses its folders; signatures are verified in any case
      'Acquire::Languages "none";',
      'Debug::NoLocking "true";', // no other process uses the folder
      '',
    ].join('\n'),
  );
  const env = { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', APT_CONFIG: config, ...proxies(process.env) };
  await runApt('apt-get', ['update', '--error-on=any', '-q'], {
    ...context,
    env,
    failed: (words) => `the package lists of ${mirror.main} ${suite} could not be fetched: ${words}; check the mirror and the network`,
  });

  return {
    async depends(name) {
      const text = await runApt('apt-cache', ['show', '--no-all-versions', name], {
        ...context,
        env,
        failed: (words) => `${mirror.main} ${suite} has no package ${name}: ${words}`,
      });
      const line = /^Depends:\s*(.*)$/m.exec(text)?.[1] ?? '';
      return line
        .split(',')
        .map((part) => part.trim().split(/[\s|(:]/)[0] ?? '')
        .filter((part) => part !== '');
    },
    async download(names, into) {
      await mkdir(into, { recursive: true });
      await runApt('apt-get', ['download', '-q', ...names], {
        ...context,
        env,
        cwd: into,
        failed: (words) => `the packages ${names.join(', ')} could not be fetched from ${mirror.main}: ${words}`,
      });
      const files = await readdir(into);
      return names.map((name) => {
        const file = files.find((candidate) => candidate.startsWith(`${name}_`));
        if (file === undefined) throw new VivError('download_failed', `apt-get fetched ${names.join(', ')} but left no file for ${name}`);
        return join(into, file);
      });
    },
  };
}

/** apt honours these; it gets nothing else of the environment. */
export function proxies(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}

interface AptRun extends AptContext {
  env?: Record<string, string>;
  cwd?: string;
  failed?: (words: string) => string;
}

async function runApt(program: string, args: string[], run: AptRun): Promise<string> {
  try {
    return await runOk(program, args, {
      timeoutMs: 600_000,
      signal: run.signal,
      endsWithUs: true,
      keepBytes: 8 * 1024 * 1024,
      ...(run.env ? { env: run.env } : {}),
      ...(run.cwd ? { cwd: run.cwd } : {}),
      onLine: (line, stream) => (stream === 'stderr' || program === 'apt-get') && run.log(line),
    });
  } catch (cause) {
    if (cause instanceof ProgramMissing)
      throw new VivError(
        'missing_program',
        `${program} is not installed: images are built from Debian packages on Debian and Ubuntu hosts; pull an official image instead (viv image catalog)`,
        { cause },
      );
    if (cause instanceof ProgramFailed && run.failed) {
      const errors = cause.result.stderr.split('\n').filter((line) => line.startsWith('E:') || line.startsWith('Err:'));
      throw new VivError(
        'download_failed',
        run.failed(errors.slice(0, 3).join(' ').slice(0, 600) || `exit code ${cause.result.exitCode}`),
        { cause },
      );
    }
    throw cause;
  }
}
