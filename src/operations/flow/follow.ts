// `flow.follow`.
import type { HandlerOf } from '../handler.ts';
import { filterFrom } from './filter.ts';

export const handler: HandlerOf<'flow.follow'> = async function* (filter, { services, signal }) {
  yield* services.networks.flows.follow(await filterFrom(filter, services), signal);
};
