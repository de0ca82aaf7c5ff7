// `network.show`.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'network.show'> = async ({ network }, { services }) => {
  const { records, reconciler } = services.networks;
  const record = records.get(network);
  const [traffic, dropped] = await Promise.all([
    reconciler.monitor().then((monitor) => monitor?.traffic() ?? new Map()),
    reconciler.dropped(),
  ]);
  return viewOf(record, services, { traffic, dropped });
};
