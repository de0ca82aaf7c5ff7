// A machine's disks while QEMU has them: growing them, and putting a new file on top of each at one instant.
import { basename } from 'node:path';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import type { QmpConnection } from './qmp.ts';

const Nodes = z.array(z.object({ 'node-name': z.string(), backing_file_depth: z.number() }));

/** Nodes by name; `depth`: how many files are below. Files are no help: QEMU writes their names in several ways. */
async function nodesOf(qmp: QmpConnection): Promise<Map<string, { depth: number }>> {
  const nodes = Nodes.parse(await qmp.execute('query-named-block-nodes', { flat: true }));
  return new Map(nodes.map((node) => [node['node-name'], { depth: node.backing_file_depth }]));
}

/** A disk has its id as its node's name at the start, and that of its file once openTops has put a new one on it. */
const nodeName = (nodes: ReadonlyMap<string, unknown>, disk: { id: string; file: string }): string => {
  const name = basename(disk.file, '.qcow2');
  if (nodes.has(name)) return name;
  if (nodes.has(disk.id)) return disk.id;
  throw new VivError('qemu_failed', `QEMU has no disk ${disk.file}`);
};

/** Grows a disk under the guest. */
export async function blockResize(qmp: QmpConnection, disk: { id: string; file: string }, sizeBytes: number): Promise<void> {
  await qmp.execute('block_resize', { 'node-name': nodeName(await nodesOf(qmp), disk), size: sizeBytes });
}

export interface NewTop {
  /** Id of the disk. */
  readonly disk: string;
  /** The file that the guest writes to now, and that does not change any more. */
  readonly from: string;
  /** An empty overlay of it, NODE.qcow2. */
  readonly to: string;
  /** Unique, at most 31 letters, digits and dashes: what its node will be called. */
  readonly node: string;
}

/** Makes the new tops known, so that switchTops is quick. Repeatable. */
export async function openTops(qmp: QmpConnection, tops: readonly NewTop[]): Promise<void> {
  const nodes = await nodesOf(qmp);
  for (const { to, node } of tops) {
    if (nodes.has(node)) continue;
    await qmp.execute('blockdev-add', {
      ...{ driver: 'qcow2', 'node-name': node, backing: null, discard: 'unmap', 'detect-zeroes': 'unmap' },
      file: { driver: 'file', filename: to },
    });
  }
}

/** Lets go of tops that were not switched to. */
export async function closeTops(qmp: QmpConnection, tops: readonly NewTop[]): Promise<void> {
  const nodes = await nodesOf(qmp);
  for (const { node } of tops) if (nodes.get(node)?.depth === 0) await qmp.execute('blockdev-del', { 'node-name': node });
}

/** True when the guest writes to the new tops already. */
export async function topsAreIn(qmp: QmpConnection, tops: readonly NewTop[]): Promise<boolean> {
  const nodes = await nodesOf(qmp);
  return tops.length > 0 && tops.every(({ node }) => (nodes.get(node)?.depth ?? 0) > 0);
}

/** From here on the guest writes to the new tops: all disks at one instant, or none. */
export async function switchTops(qmp: QmpConnection, tops: readonly NewTop[]): Promise<void> {
  const nodes = await nodesOf(qmp);
  const actions = tops.map(({ disk, from, node }) => ({
    type: 'blockdev-snapshot',
    data: { node: nodeName(nodes, { id: disk, file: from }), overlay: node },
  }));
  if (actions.length > 0) await qmp.execute('transaction', { actions });
}
