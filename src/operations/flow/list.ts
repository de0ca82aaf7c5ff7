// `flow.list`.
import type { HandlerOf } from '../handler.ts';
import { filterFrom } from './filter.ts';

export const handler: HandlerOf<'flow.list'> = async ({ limit, ...filter }, { services }) =>
  services.networks.flows.latest(await filterFrom(filter, services), limit);
