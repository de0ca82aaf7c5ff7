// `snapshot.list`: a machine's points, oldest first.
import type { HandlerOf } from '../../task/handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'snapshot.list'> = async ({ vm }, { services: { machines } }) => {
  const machine = machines.find(vm);
  const points = machines.points.of(machine.id).filter(({ complete }) => complete);
  return Promise.all(points.map((point) => viewOf(point, machine, machines)));
};
