// `viv cp SRC DST`: files and trees into a VM and out of it. One of the two is NAME:PATH.
import { resolve, sep } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import { Ref } from '../../contract/field.ts';
import type { Copied } from '../../sdk/index.ts';
import { type Command, one } from '../command.ts';
import type { Context } from '../context.ts';
import { formatBytes } from '../render/quantity.ts';
import { clean, quote } from '../render/text.ts';

export type Place = { readonly vm: string; readonly path: string } | { readonly vm: null; readonly path: string };

/** `web:/etc/hosts` is in a VM; `./a:b`, `/a:b` and everything without a colon is here. Throws `invalid`. */
export function placeOf(text: string): Place {
  const colon = text.indexOf(':');
  const slash = text.indexOf('/');
  if (colon < 1 || (slash !== -1 && slash < colon) || text.startsWith('.')) return { vm: null, path: text };
  const vmRef = text.slice(0, colon);
  const found = Ref.safeParse(vmRef);
  if (!found.success)
    throw new VivError('invalid', `${quote(vmRef)} is not a VM: ${found.error.issues[0]?.message}; for a local file write ./ before it`);
  const path = text.slice(colon + 1);
  if (!path.startsWith('/'))
    throw new VivError('invalid', `${quote(text)}: the path in the VM must be absolute, as in ${vmRef.slice(0, 40)}:/root`);
  return { vm: vmRef, path };
}

export const command: Command = {
  words: 'cp',
  section: 'Inside a VM',
  summary: 'Copy files and trees into a VM or out of it',
  args: [
    { field: 'source', label: 'SRC', help: 'Local path, or NAME:/PATH in a VM', optional: false, several: false },
    { field: 'destination', label: 'DST', help: 'Local path, or NAME:/PATH in a VM', optional: false, several: false },
  ],
  flags: [],
  notes: [
    'What is copied into a directory keeps its name. Missing parent directories are created.',
    'FIFOs, devices and sockets inside a tree are left out and listed.',
  ],
  examples: ['viv cp web:/etc/hosts .', 'viv cp ./site web:/srv/'],
  async run(invocation, context) {
    const from = placeOf(one(invocation, 'source'));
    const to = placeOf(one(invocation, 'destination'));
    if ((from.vm === null) === (to.vm === null)) {
      throw new VivError(
        'invalid',
        from.vm === null
          ? 'neither path is in a VM; write one as NAME:/PATH'
          : 'both paths are in VMs; copy to this host first, then to the other VM',
      );
    }
    const client = await context.client();
    const { signal } = context.interrupts;
    const progress = progressOf(context, clean(from.path));
    let copied: Copied | null = null;
    try {
      if (from.vm !== null) {
        const vm = await client.vm(from.vm, { signal });
        copied = await vm.copyFrom(from.path, local(to.path), { signal, onProgress: progress.show });
      } else if (to.vm !== null) {
        const vm = await client.vm(to.vm, { signal });
        copied = await vm.copyTo(local(from.path), to.path, { signal, onProgress: progress.show });
      }
    } finally {
      progress.end();
    }
    for (const entry of copied?.skipped ?? []) context.screen.say(`left out ${clean(entry)}`);
    return 0;
  },
};

/** Absolute, and a slash at the end stays: it says that a folder is meant. */
const local = (path: string) => (path.endsWith('/') && path !== '/' ? resolve(path) + sep : resolve(path));

function progressOf(context: Context, what: string): { show: (done: number, total: number | null) => void; end: () => void } {
  const began = performance.now();
  const room = 20;
  return {
    show(done, total) {
      const seconds = Math.max(0.001, (performance.now() - began) / 1000);
      const speed = `${formatBytes(Math.round(done / seconds))}/s`;
      const filled = total === null || total === 0 ? 0 : Math.round((done / total) * room);
      const bar =
        total === null || total === 0 ? '' : `[${'#'.repeat(filled)}${'.'.repeat(room - filled)}] ${Math.floor((done / total) * 100)}%  `;
      context.screen.show('cp', `${what}  ${bar}${formatBytes(done)}${total === null ? '' : ` of ${formatBytes(total)}`}, ${speed}`);
    },
    end: () => context.screen.settle('cp'),
  };
}
