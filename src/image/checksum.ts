// Finds a file's checksum in a vendor's checksum file. Three formats are in use: `HEX  FILE` (GNU, with or without the
// binary mark), `SHA256 (FILE) = HEX` (BSD, Fedora), and the bare HEX in a file of its own (Alpine).
import { VivError } from '../contract/errors.ts';

export interface Checksum {
  readonly algorithm: 'sha256' | 'sha512';
  readonly hex: string;
}

const hexLength = { sha256: 64, sha512: 128 };

/** @throws download_failed when the text has no checksum of that file */
export function checksumOf(text: string, file: string, algorithm: Checksum['algorithm'], where: string): Checksum {
  const hex = new RegExp(`^[0-9a-f]{${hexLength[algorithm]}}$`, 'i');
  const found = new Set<string>();
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  for (const line of lines) {
    const gnu = /^([0-9a-f]+)\s+\*?(?:\.\/)?(\S+)$/i.exec(line);
    const bsd = /^(\S+) \((\S+)\) = ([0-9a-f]+)$/i.exec(line);
    if (gnu?.[1] && gnu[2] === file && hex.test(gnu[1])) found.add(gnu[1].toLowerCase());
    if (bsd?.[3] && bsd[2] === file && bsd[1]?.toLowerCase().replace('-', '') === algorithm && hex.test(bsd[3]))
      found.add(bsd[3].toLowerCase());
  }
  if (found.size === 0 && lines.filter((line) => line !== '').length === 1 && hex.test(text.trim())) found.add(text.trim().toLowerCase());
  // openSUSE's checksum file names the dated file that the moving name points to.
  const only = lines.flatMap((line) => /^([0-9a-f]+)\s+\*?\S+$/i.exec(line)?.[1] ?? []).filter((checksum) => hex.test(checksum));
  if (
    found.size === 0 &&
    only.length === 1 &&
    only[0] &&
    lines.filter((line) => line !== '' && !line.startsWith('-') && !/^\w+:/.test(line)).length === 1
  )
    found.add(only[0].toLowerCase());
  const [checksum, ...more] = found;
  if (checksum === undefined || more.length > 0) {
    throw new VivError(
      'download_failed',
      `${where} has ${more.length > 0 ? 'several different checksums' : `no ${algorithm} sum`} of ${file}, so the image cannot be verified and was not downloaded`,
    );
  }
  return { algorithm, hex: checksum };
}

/** Parses `sha256:HEX` of a user. @throws invalid */
export function parseChecksum(text: string): Checksum {
  const [algorithm, hex] = text.split(':');
  if ((algorithm !== 'sha256' && algorithm !== 'sha512') || hex?.length !== hexLength[algorithm]) {
    throw new VivError('invalid', `${text.slice(0, 80)} is not a checksum; write sha256: and 64 hexadecimal digits, or sha512: and 128`);
  }
  return { algorithm, hex };
}
