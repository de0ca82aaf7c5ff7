// `network.show`.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'network.show'> = async ({ network }, { services }) => {
  const { records, here } = services.networks;
  const record = records.get(network);
  const [traffic, refused] = await Promise.all([here.watching().then((watching) => watching?.traffic() ?? new Map()), here.refused()]);
  return viewOf(record, services, { traffic, refused });
};
