// Which kernel modules a few requested ones need, in the order they are loaded. Read from the modules themselves (.modinfo has
// `depends=a,b`), so that neither depmod nor the kernel's own modules.dep is needed.
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

export interface Module {
  /** As the kernel knows it: underscores. */
  readonly name: string;
  readonly file: string;
}

/** Names a module depends on, from its bytes. Pure. */
export function moduleDepends(bytes: Buffer): string[] {
  const key = Buffer.from('\0depends=');
  const at = bytes.indexOf(key);
  if (at < 0) return [];
  const end = bytes.indexOf(0, at + key.length);
  return bytes
    .toString('latin1', at + key.length, end)
    .split(',')
    .filter((name) => name !== '')
    .map(kernelName);
}

/** Orders `requested` and all they need so that each comes after what it needs. Names absent from `files` (built in, or not made) are left out. */
export async function loadOrder(desired: readonly string[], files: ReadonlyMap<string, string>): Promise<Module[]> {
  const order = new Map<string, Module>();
  const visit = async (name: string): Promise<void> => {
    const file = files.get(name);
    if (file === undefined || order.has(name)) return;
    for (const needed of moduleDepends(await readFile(file))) await visit(needed);
    order.set(name, { name, file });
  };
  for (const name of desired) await visit(kernelName(name));
  return [...order.values()];
}

/** name -> file of every module below a folder. */
export async function findModules(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.ko'));
  return new Map(files.map((entry) => [kernelName(basename(entry.name, '.ko')), join(entry.parentPath, entry.name)]));
}

const kernelName = (name: string) => name.replaceAll('-', '_');
