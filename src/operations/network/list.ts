// `network.list`.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'network.list'> = async (_input, { services }) =>
  services.networks.records.all().map((network) => viewOf(network, services, null));
