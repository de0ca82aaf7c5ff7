// The host's own certificate authority (ECDSA P-256, 10 years) and the server certificates that it issues (90 days, renewed 30 days before their end, or when
// the host's names or addresses have changed). A client trusts the authority, so a renewal changes nothing for it.
import 'reflect-metadata'; // for @peculiar/x509, before it
import { type webcrypto as crypto, hash, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 24 * 3_600_000;
const authorityDays = 3650;
const serverDays = 90;
const renewDays = 30;
/** Clocks of clients may be behind. */
const earlyMs = 3_600_000;

/** Both as PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export async function createAuthority(hostname: string, now: number): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: [`Vivarium CA of ${hostname}`] }],
      keys,
      signingAlgorithm: algorithm,
      notBefore: new Date(now - earlyMs),
      notAfter: new Date(now + authorityDays * dayMs),
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    },
    webcrypto,
  );
  return { certificate: certificate.toString('pem'), key: await keyToPem(keys.privateKey) };
}

/** @param names host names and addresses that clients reach the server by */
export async function issueServer(authority: KeyPair, names: readonly string[], now: number): Promise<KeyPair> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await keyFromPem(authority.key);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject: [{ CN: [(names.find((name) => isIP(name) === 0) ?? names[0] ?? 'vivarium').slice(0, 64)] }],
      issuer: issuer.subject,
      publicKey: keys.publicKey,
      signingKey,
      signingAlgorithm: algorithm,
      notBefore: new Date(now - earlyMs),
      notAfter: new Date(now + serverDays * dayMs),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(names.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name }))),
        await x509.AuthorityKeyIdentifierExtension.create(issuer),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    },
    webcrypto,
  );
  return { certificate: certificate.toString('pem'), key: await keyToPem(keys.privateKey) };
}

/** Why a server certificate has to be issued anew; null: it serves. */
export function staleness(server: string, authority: string, names: readonly string[], now: number): string | null {
  try {
    const certificate = new x509.X509Certificate(server);
    if (certificate.notAfter.getTime() - now < renewDays * dayMs) return 'it expires soon';
    if (certificate.issuer !== new x509.X509Certificate(authority).subject) return 'another authority issued it';
    const known =
      certificate
        .getExtension(x509.SubjectAlternativeNameExtension)
        ?.names.toJSON()
        .map(({ value }) => value) ?? [];
    const missing = names.find((name) => !known.includes(name));
    return missing === undefined ? null : `it lacks ${missing}`;
  } catch {
    return 'it cannot be read';
  }
}

/** SHA-256 of the first certificate in a PEM text, as `AB:CD:…`. */
export function fingerprintOf(pem: string): string {
  const digest = hash('sha256', Buffer.from(new x509.X509Certificate(pem).rawData), 'hex').toUpperCase();
  return (digest.match(/../g) ?? []).join(':');
}

async function keyToPem(key: crypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

const keyFromPem = (pem: string): Promise<crypto.CryptoKey> =>
  webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), algorithm, false, ['sign']);
