// `security-group.list`.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'security-group.list'> = async (_input, { services }) =>
  services.networks.groups.all().map((group) => viewOf(group, services));
