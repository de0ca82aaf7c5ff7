// `snapshot.show`: one point.
import type { HandlerOf } from '../../task/handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'snapshot.show'> = ({ vm, point }, { services: { machines } }) => {
  const machine = machines.find(vm);
  return viewOf(machines.points.find(machine, point), machine, machines);
};
