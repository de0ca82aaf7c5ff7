// `security-group.show`.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'security-group.show'> = async ({ securityGroup: group }, { services }) =>
  viewOf(services.networks.groups.get(group), services);
