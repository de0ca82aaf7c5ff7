// A machine's disks while QEMU has them: growing them, and putting a new file on top of each at one instant.
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import type { QmpConnection } from './qmp.ts';

const Nodes = z.array(z.object({ 'node-name': z.string(), drv: z.string(), file: z.string(), backing_file_depth: z.number() }));

/** The node of a disk's file, whatever it was called when it came; null: none. `depth`: how many files are below it. */
async function nodeOf(qmp: QmpConnection, file: string): Promise<{ name: string; depth: number } | null> {
  const nodes = Nodes.parse(await qmp.execute('query-named-block-nodes', { flat: true }));
  const found = nodes.find((node) => node.file === file && node.drv !== 'file');
  return found ? { name: found['node-name'], depth: found.backing_file_depth } : null;
}

/** Grows a disk under the guest. */
export async function blockResize(qmp: QmpConnection, file: string, sizeBytes: number): Promise<void> {
  const node = await nodeOf(qmp, file);
  if (!node) throw new VivError('qemu_failed', `QEMU has no disk ${file}`);
  await qmp.execute('block_resize', { 'node-name': node.name, size: sizeBytes });
}

export interface NewTop {
  /** The file that the guest writes to now, and that does not change any more. */
  readonly from: string;
  /** An empty overlay of it. */
  readonly to: string;
  /** Unique, at most 31 letters, digits and dashes: what its node will be called. */
  readonly node: string;
}

/** Makes the new tops known, so that switchTops is quick. Repeatable. */
export async function openTops(qmp: QmpConnection, tops: readonly NewTop[]): Promise<void> {
  for (const { to, node } of tops) {
    if (await nodeOf(qmp, to)) continue;
    await qmp.execute('blockdev-add', {
      ...{ driver: 'qcow2', 'node-name': node, backing: null, discard: 'unmap', 'detect-zeroes': 'unmap' },
      file: { driver: 'file', 'node-name': `${node}-file`, filename: to },
    });
  }
}

/** Lets go of tops that were not switched to. */
export async function closeTops(qmp: QmpConnection, tops: readonly NewTop[]): Promise<void> {
  for (const { to } of tops) {
    const node = await nodeOf(qmp, to);
    if (node?.depth === 0) await qmp.execute('blockdev-del', { 'node-name': node.name });
  }
}

/** True when the guest writes to the new tops already. */
export async function topsAreIn(qmp: QmpConnection, tops: readonly NewTop[]): Promise<boolean> {
  for (const { to } of tops) if (((await nodeOf(qmp, to))?.depth ?? 0) === 0) return false;
  return tops.length > 0;
}

/** From here on the guest writes to the new tops: all disks at one instant, or none. */
export async function switchTops(qmp: QmpConnection, tops: readonly NewTop[]): Promise<void> {
  const actions = [];
  for (const { from, node } of tops) {
    const below = await nodeOf(qmp, from);
    if (!below) throw new VivError('qemu_failed', `QEMU has no disk ${from}`);
    actions.push({ type: 'blockdev-snapshot', data: { node: below.name, overlay: node } });
  }
  if (actions.length > 0) await qmp.execute('transaction', { actions });
}
