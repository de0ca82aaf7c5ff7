// Verifies the signature of a vendor's checksum file with the keys that the distribution installed. A wrong signature ends the pull; one that
// cannot be verified (no keyring, no gpgv) is reported, and the checksum is still verified.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../contract/errors.ts';
import { isUsable } from '../host/file/usable.ts';
import { ProgramMissing, runProgram } from '../host/process/run.ts';
import type { Signature } from './catalog.ts';

/**
 * @returns the text that can be trusted (of a clear-signed file only the signed part), and what to report
 * @throws checksum where the signature is wrong or by another key
 */
export async function checkSignature(
  text: Buffer,
  detached: Buffer | null,
  signature: Signature,
  options: { folder: string; signal?: AbortSignal },
): Promise<{ text: string; checked: boolean; note: string }> {
  const unchecked = (why: string) => ({
    text: text.toString('utf8'),
    checked: false,
    note: `The signature was not checked: ${why}. The sum is checked, as it came over https.`,
  });
  const keyring = await firstPresent(signature.keyrings);
  if (keyring === null) return unchecked(`the vendor's key is not on this host (the package ${signature.keyringPackage} has it)`);
  const folder = await mkdtemp(join(options.folder, 'signature-'));
  try {
    const signed = join(folder, 'signed');
    await writeFile(signed, text);
    const keys = join(folder, 'keys.gpg');
    await writeFile(keys, dearmor(await readFile(keyring)));
    const plain = join(folder, 'plain');
    if (detached !== null) await writeFile(`${signed}.sig`, detached);
    const files = detached === null ? ['--output', plain, signed] : [`${signed}.sig`, signed];
    const run = {
      timeoutMs: 30_000,
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', HOME: folder, GNUPGHOME: folder },
      ...(options.signal ? { signal: options.signal } : {}),
    };
    const { exitCode, stdout, stderr } = await runProgram('gpgv', ['--status-fd', '1', '--keyring', keys, ...files], run);
    // VALIDSIG <signing key> ... <primary key>
    const valid = stdout
      .split('\n')
      .some((line) => line.startsWith('[GNUPG:] VALIDSIG ') && line.split(' ').includes(signature.fingerprint));
    if (exitCode === 0 && valid) {
      return {
        text: detached === null ? await readFile(plain, 'utf8') : text.toString('utf8'),
        checked: true,
        note: `The signature is by ${signature.fingerprint}.`,
      };
    }
    if (/\[GNUPG:\] NO_PUBKEY/.test(stdout))
      return unchecked(`${keyring} lacks the key it was made with; update the package ${signature.keyringPackage}`);
    throw new VivError(
      'checksum',
      `the signature of the vendor’s checksums is wrong, or by another key than ${signature.fingerprint}; nothing was downloaded. gpgv: ${stderr.trim().slice(-400)}`,
    );
  } catch (error) {
    if (error instanceof ProgramMissing) return unchecked('gpgv is not installed');
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** gpgv reads binary keyrings; packages of RPM systems bring armored keys. */
function dearmor(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1');
  const block = /-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n([\s\S]*?)-----END/g;
  const parts = [...text.matchAll(block)].map((match) => {
    const body = (match[1] ?? '').split(/\r?\n/).filter((line) => line !== '' && !line.includes(':') && !line.startsWith('='));
    return Buffer.from(body.join(''), 'base64');
  });
  return parts.length > 0 ? Buffer.concat(parts) : bytes;
}

async function firstPresent(files: readonly string[]): Promise<string | null> {
  for (const file of files) if (await isUsable(file)) return file;
  return null;
}
