// A VM's disks while QEMU runs: growing them, and switching all of them to new overlays at one instant.
import { basename } from 'node:path';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import type { QmpConnection } from './qmp.ts';

// query-blockstats rather than query-block or query-named-block-nodes: those build for each node the JSON of its whole chain of backing files
// (20 ms of each fork of a VM that had been forked 8 times).
interface Node {
  'node-name'?: string | undefined;
  backing?: Node | undefined;
  /** QEMU's name of the node of its file. */
  parent?: Node | undefined;
}
const Node: z.ZodType<Node> = z.object({
  'node-name': z.string().optional(),
  backing: z.lazy(() => Node).optional(),
  parent: z.lazy(() => Node).optional(),
});
const Nodes = z.array(Node);

const nodesNow = async (qmp: QmpConnection, all: boolean): Promise<Node[]> =>
  Nodes.parse(await qmp.execute('query-blockstats', { 'query-nodes': all }));

/** All nodes by name. Files are no help: QEMU writes their names in several ways. */
async function nodesOf(qmp: QmpConnection): Promise<Set<string>> {
  return new Set((await nodesNow(qmp, true)).flatMap((node) => node['node-name'] ?? []));
}

/** The nodes that devices write to, and how many files are below each. */
async function inUse(qmp: QmpConnection): Promise<Map<string, number>> {
  return new Map((await nodesNow(qmp, false)).flatMap((node) => (node['node-name'] ? [[node['node-name'], depthOf(node)]] : [])));
}

const depthOf = ({ backing }: Node): number => (backing ? 1 + depthOf(backing) : 0);

/** A disk has its id as its node's name at the start, and that of its file once openOverlays has put a new one on it. */
const nodeName = (nodes: ReadonlySet<string>, disk: { id: string; file: string }): string => {
  const name = basename(disk.file, '.qcow2');
  if (nodes.has(name)) return name;
  if (nodes.has(disk.id)) return disk.id;
  throw new VivError('qemu_failed', `QEMU has no disk ${disk.file}`);
};

/** Grows a disk under the guest. */
export async function blockResize(qmp: QmpConnection, disk: { id: string; file: string }, sizeBytes: number): Promise<void> {
  await qmp.execute('block_resize', { 'node-name': nodeName(await nodesOf(qmp), disk), size: sizeBytes });
}

export interface NewOverlay {
  /** Id of the disk. */
  readonly disk: string;
  /** The file that the guest writes to until the switch, and that never changes afterwards. */
  readonly from: string;
  /** An empty overlay of it, NODE.qcow2. */
  readonly to: string;
  /** Name of its node: unique, at most 31 letters, digits and dashes. */
  readonly node: string;
}

/** Makes the new overlays known, so that the switch is quick. Repeatable as long as they are not switched to: their files may have been made anew since. */
export async function openOverlays(qmp: QmpConnection, overlays: readonly NewOverlay[]): Promise<void> {
  const nodes = await nodesOf(qmp);
  for (const { to, node } of overlays) {
    if (nodes.has(node)) await qmp.execute('blockdev-del', { 'node-name': node });
    await qmp.execute('blockdev-add', {
      ...{ driver: 'qcow2', 'node-name': node, backing: null, discard: 'unmap', 'detect-zeroes': 'unmap' },
      file: { driver: 'file', filename: to },
    });
  }
}

/** Closes overlays that were not switched to. */
export async function closeOverlays(qmp: QmpConnection, overlays: readonly NewOverlay[]): Promise<void> {
  const nodes = await nodesOf(qmp);
  const used = await inUse(qmp);
  for (const { node } of overlays) if (nodes.has(node) && !used.has(node)) await qmp.execute('blockdev-del', { 'node-name': node });
}

const below = (node: Node): string[] => [
  node['node-name'] ?? '',
  ...[node.backing, node.parent].flatMap((next) => (next ? below(next) : [])),
];

/**
 * Closes nodes that no device uses, and so their files: QEMU keeps every node that it was asked to open. No overlay may be opened meanwhile.
 * @param disks ids of the disks whose nodes are considered
 */
export async function closeUnused(qmp: QmpConnection, disks: readonly string[]): Promise<void> {
  const [nodes, devices] = await Promise.all([nodesOf(qmp), nodesNow(qmp, false)]);
  const used = new Set(devices.flatMap(below));
  let left = [...nodes].filter((name) => !used.has(name) && disks.some((id) => name === id || name.startsWith(`${id}-`)));
  // A backing node is closed after the nodes that it backs.
  for (let before = left.length + 1; left.length > 0 && left.length < before; ) {
    before = left.length;
    const kept: string[] = [];
    for (const name of left) {
      const closed = await qmp.execute('blockdev-del', { 'node-name': name }).then(
        () => true,
        () => false, // in use
      );
      if (!closed) kept.unshift(name);
    }
    left = kept;
  }
}

/** True when the guest writes to the new overlays already: the switch puts in all of them or none. */
export async function overlaysAreIn(qmp: QmpConnection, overlays: readonly NewOverlay[]): Promise<boolean> {
  const used = await inUse(qmp);
  return overlays.some(({ node }) => used.has(node));
}

/**
 * Asks what the switch needs to know, while the guest continues. What it resolves to makes the guest write to the new overlays from then on:
 * all disks at one instant, or none.
 */
export async function prepareSwitch(qmp: QmpConnection, overlays: readonly NewOverlay[]): Promise<() => Promise<void>> {
  const nodes = await nodesOf(qmp);
  const actions = overlays.map(({ disk, from, node }) => ({
    type: 'blockdev-snapshot',
    data: { node: nodeName(nodes, { id: disk, file: from }), overlay: node },
  }));
  return async () => {
    if (actions.length > 0) await qmp.execute('transaction', { actions });
  };
}

/** The node that the guest writes to, of each disk, and how many files are below it. */
export async function overlayNodes(
  qmp: QmpConnection,
  disks: readonly { id: string; file: string }[],
): Promise<{ id: string; node: string; depth: number }[]> {
  const nodes = await nodesOf(qmp);
  const used = await inUse(qmp);
  return disks.map((disk) => {
    const node = nodeName(nodes, disk);
    return { id: disk.id, node, depth: used.get(node) ?? 0 };
  });
}

const Jobs = z.array(z.object({ id: z.string(), type: z.string() }));

/** Copies into a node, in the background, what it reads from below, down to the file `base`. Repeatable. */
export async function stream(
  qmp: QmpConnection,
  { job, node, base, bytesPerSecond }: { job: string; node: string; base: string | null; bytesPerSecond: number },
): Promise<void> {
  if ((await streamJobs(qmp)).includes(job)) return;
  await qmp.execute('block-stream', { 'job-id': job, device: node, speed: bytesPerSecond, ...(base === null ? {} : { base }) });
}

/** How many are under way. */
export const streams = async (qmp: QmpConnection): Promise<number> => (await streamJobs(qmp)).length;

const streamJobs = async (qmp: QmpConnection): Promise<string[]> =>
  Jobs.parse(await qmp.execute('query-jobs'))
    .filter(({ type }) => type === 'stream')
    .map(({ id }) => id);

const cancelDeadlineMs = 10_000;

/** Ends them; what has been copied stays. Resolves when QEMU has released the nodes. */
export async function cancelStreams(qmp: QmpConnection): Promise<void> {
  const deadline = Date.now() + cancelDeadlineMs;
  for (let asked = false; ; asked = true) {
    const jobs = await streamJobs(qmp);
    if (jobs.length === 0) return;
    if (!asked) for (const id of jobs) await qmp.execute('job-cancel', { id }).catch(() => {}); // it may have ended in this moment
    if (Date.now() > deadline) throw new VivError('timeout', `QEMU does not stop copying within ${cancelDeadlineMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
