// Writing a cpio archive in the "newc" form, which is what a kernel unpacks as its initramfs
// (Documentation/driver-api/early-userspace/buffer-format.rst of Linux). Owner root, time 0: the same files give the same bytes.

export type CpioEntry =
  | { readonly path: string; readonly type: 'folder'; readonly mode: number }
  | { readonly path: string; readonly type: 'file'; readonly mode: number; readonly content: Buffer }
  | { readonly path: string; readonly type: 'link'; readonly to: string }
  | { readonly path: string; readonly type: 'character device'; readonly mode: number; readonly major: number; readonly minor: number };

/** The archive. Folders come before what is in them: the caller's order is kept. */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  entries.forEach((entry, index) => {
    if (entry.type === 'folder') parts.push(record(entry.path, index + 1, 0o040000 | entry.mode, Buffer.alloc(0)));
    else if (entry.type === 'file') parts.push(record(entry.path, index + 1, 0o100000 | entry.mode, entry.content));
    else if (entry.type === 'link') parts.push(record(entry.path, index + 1, 0o120777, Buffer.from(entry.to)));
    else parts.push(record(entry.path, index + 1, 0o020000 | entry.mode, Buffer.alloc(0), entry.major, entry.minor));
  });
  parts.push(record('TRAILER!!!', 0, 0, Buffer.alloc(0)));
  return Buffer.concat(parts);
}

function record(path: string, inode: number, mode: number, content: Buffer, major = 0, minor = 0): Buffer {
  const name = Buffer.from(`${path.replace(/^\/+/, '')}\0`);
  const links = (mode & 0o170000) === 0o040000 ? 2 : 1;
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, major, minor, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0').toUpperCase()).join('')}`);
  return Buffer.concat([padded(Buffer.concat([header, name])), padded(content)]);
}

function padded(bytes: Buffer): Buffer {
  const rest = bytes.length % 4;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - rest)]);
}
