// `snapshot.thumbnail`: what a machine showed when the point was made.
import { Readable } from 'node:stream';
import { readThumbnail } from '../../snapshot/thumbnail.ts';
import type { HandlerOf } from '../../task/handler.ts';

export const handler: HandlerOf<'snapshot.thumbnail'> = async ({ vm, point: ref }, { services: { machines, paths } }) => {
  const machine = machines.find(vm);
  const { id, label, thumbnail } = machines.points.find(machine, ref);
  const { kind, bytes } = await readThumbnail(
    { name: `the point ${label ?? id} of ${machine.name}`, thumbnail },
    paths.point(id).thumbnail,
  );
  return { stream: Readable.from([bytes]), contentType: kind === 'png' ? 'image/png' : 'text/plain; charset=utf-8' };
};
