// Headers of a tar stream (ustar with GNU long names). tar-stream writes no name that is not UTF-8 and no mode 0.
const blockBytes = 512;
const maxNameBytes = 100;

export interface TarEntry {
  readonly name: Buffer;
  readonly type: 'file' | 'directory' | 'symlink';
  readonly mode: number;
  readonly mtimeMs: number;
  readonly sizeBytes: number;
  readonly linkName?: Buffer;
}

const typeFlag = { file: '0', directory: '5', symlink: '2', longName: 'L', longLinkName: 'K' } as const;

/** Everything before the content of an entry. */
export function tarHeader({ name, type, mode, mtimeMs, sizeBytes, linkName = Buffer.alloc(0) }: TarEntry): Buffer {
  const fullName = type === 'directory' ? Buffer.concat([name, Buffer.from('/')]) : name;
  return Buffer.concat([
    longText('longLinkName', linkName),
    longText('longName', fullName),
    block(fullName, typeFlag[type], mode, Math.floor(mtimeMs / 1000), sizeBytes, linkName),
  ]);
}

/** What follows the content of an entry. */
export const tarPadding = (sizeBytes: number): Buffer => Buffer.alloc((blockBytes - (sizeBytes % blockBytes)) % blockBytes);

export const tarEnd = Buffer.alloc(2 * blockBytes);

/** A text that does not fit its field goes before its entry. */
function longText(type: 'longName' | 'longLinkName', text: Buffer): Buffer {
  if (text.length <= maxNameBytes) return Buffer.alloc(0);
  const content = Buffer.concat([text, Buffer.alloc(1)]);
  const header = block(Buffer.from('././@LongLink'), typeFlag[type], 0o644, 0, content.length, Buffer.alloc(0));
  return Buffer.concat([header, content, tarPadding(content.length)]);
}

function block(name: Buffer, type: string, mode: number, mtime: number, sizeBytes: number, linkName: Buffer): Buffer {
  const header = Buffer.alloc(blockBytes);
  name.copy(header, 0, 0, maxNameBytes);
  putNumber(header, 100, 8, mode & 0o7777);
  putNumber(header, 108, 8, 0); // owner and group: root
  putNumber(header, 116, 8, 0);
  putNumber(header, 124, 12, sizeBytes);
  putNumber(header, 136, 12, Math.max(0, mtime));
  header.write(type, 156);
  linkName.copy(header, 157, 0, maxNameBytes);
  header.write('ustar  ', 257);
  header.fill(' ', 148, 156);
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${checksum.toString(8).padStart(6, '0')}\0`, 148);
  return header;
}

/** Octal, or base 256 (GNU) where that is too short. */
function putNumber(header: Buffer, at: number, length: number, value: number): void {
  const octal = value.toString(8);
  if (octal.length < length) header.write(octal.padStart(length - 1, '0'), at);
  else {
    header[at] = 0x80;
    header.writeUIntBE(value, at + length - 6, 6);
  }
}
