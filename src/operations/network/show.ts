// `network.show`.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'network.show'> = async ({ network }, { services }) => {
  const { networks } = services.machines;
  return viewOf(networks.records.get(network), services, await networks.here.traffic());
};
