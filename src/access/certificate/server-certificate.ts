// The certificate that the network listener serves: the host's own, kept in <folder> and renewed by itself, or files that are read again when they change.
import { mkdir, readFile, stat } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import type { Clock } from '../../host/clock.ts';
import { writeWhole } from '../../host/file/whole-file.ts';
import { createAuthority, fingerprintOf, issueServer, type KeyPair, staleness } from './authority.ts';

const lookEveryMs = 60_000;

export interface ServedCertificate {
  /** The server's certificate and those above it, PEM. */
  readonly chain: string;
  readonly key: string;
  /** Of the certificate that a client pins: the authority's, or that of the file. */
  readonly fingerprint: string;
}

export interface CertificateSource {
  current(): Promise<ServedCertificate>;
}

/** The host's own. @param folder made with mode 0700 */
export function ownCertificate(folder: string, extraNames: readonly string[], now: () => number): CertificateSource {
  const files = {
    ca: join(folder, 'ca.crt'),
    caKey: join(folder, 'ca.key'),
    server: join(folder, 'server.crt'),
    serverKey: join(folder, 'server.key'),
  };
  async function authority(): Promise<KeyPair> {
    const found = await readPair(files.ca, files.caKey);
    if (found) return found;
    const made = await createAuthority(hostname(), now());
    await writeWhole(files.caKey, made.key, 0o600);
    await writeWhole(files.ca, made.certificate, 0o644);
    return made;
  }
  return {
    async current() {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const ca = await authority();
      const names = [...new Set([...hostNames(), ...extraNames])];
      let server = await readPair(files.server, files.serverKey);
      if (!server || staleness(server.certificate, ca.certificate, names, now()) !== null) {
        server = await issueServer(ca, names, now());
        await writeWhole(files.serverKey, server.key, 0o600);
        await writeWhole(files.server, server.certificate, 0o644);
      }
      return { chain: `${server.certificate}\n${ca.certificate}\n`, key: server.key, fingerprint: fingerprintOf(ca.certificate) };
    },
  };
}

/** Certificate (with its chain) and key that something else renews. */
export function certificateFiles(certificate: string, key: string): CertificateSource {
  return {
    async current() {
      const pair = await readPair(certificate, key);
      if (!pair) throw new VivError('not_found', `there is no certificate in ${certificate} with a key in ${key}; check the two paths`);
      return { chain: pair.certificate, key: pair.key, fingerprint: fingerprintOf(pair.certificate) };
    },
  };
}

/**
 * Calls `serve` with each certificate that differs from the last one, looking once a minute. A certificate that cannot be read is reported and the last one
 * stays in use.
 */
export function watchCertificate(
  source: CertificateSource,
  first: ServedCertificate,
  clock: Clock,
  serve: (certificate: ServedCertificate) => void,
  failed: (error: unknown) => void,
): { look(): Promise<void>; stop(): void } {
  let last = first;
  let cancel = () => {};
  let stopped = false;
  const look = async () => {
    try {
      const found = await source.current();
      if (found.chain !== last.chain || found.key !== last.key) {
        serve(found);
        last = found;
      }
    } catch (error) {
      failed(error);
    }
  };
  const plan = () => {
    cancel = clock.after(lookEveryMs, () => void look().then(() => stopped || plan()));
  };
  plan();
  return {
    look,
    stop() {
      stopped = true;
      cancel();
    },
  };
}

/** Undefined where neither or only one of them is there. */
async function readPair(certificateFile: string, keyFile: string): Promise<KeyPair | undefined> {
  if (!(await stat(certificateFile).catch(() => undefined))) return undefined;
  if (!(await stat(keyFile).catch(() => undefined))) return undefined;
  const [certificate, key] = await Promise.all([readFile(certificateFile, 'utf8'), readFile(keyFile, 'utf8')]);
  return { certificate, key };
}

/** Names and addresses of this host that another one may use. */
function hostNames(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => (found ?? []).map(({ address }) => address));
  return ['localhost', hostname().toLowerCase(), ...addresses.filter((address) => !address.startsWith('fe80:') && !address.includes('%'))];
}
