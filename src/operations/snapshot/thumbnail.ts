// `snapshot.thumbnail`: what a VM showed when the snapshot was made.
import { Readable } from 'node:stream';
import { readThumbnail } from '../../snapshot/thumbnail.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'snapshot.thumbnail'> = async ({ vm: vmRef, snapshot: ref }, { services: { vms, snapshots, paths } }) => {
  const vm = vms.find(vmRef);
  const { id, label, thumbnail } = snapshots.find(vm, ref);
  const { kind, bytes } = await readThumbnail(
    { name: `the snapshot ${label ?? id} of ${vm.name}`, thumbnail },
    paths.snapshot(id).thumbnail,
  );
  return { stream: Readable.from([bytes]), contentType: kind === 'png' ? 'image/png' : 'text/plain; charset=utf-8' };
};
