// `network.list`.
import type { HandlerOf } from '../handler.ts';
import { unreadableView, viewOf } from './view.ts';

export const handler: HandlerOf<'network.list'> = async (_input, { services }) => {
  const { records } = services.networks;
  return [
    ...records.all().map((network) => viewOf(network, services, null)),
    ...records.unreadable().map((one) => unreadableView(one, services)),
  ];
};
