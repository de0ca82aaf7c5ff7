// `group.show`.
import type { HandlerOf } from '../../task/handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'group.show'> = async ({ group }, { services }) =>
  viewOf(services.machines.networks.groups.get(group), services);
