// `security-group.list`.
import type { HandlerOf } from '../handler.ts';
import { unreadableView, viewOf } from './view.ts';

export const handler: HandlerOf<'security-group.list'> = async (_input, { services }) => {
  const { groups } = services.networks;
  return [...groups.all().map((group) => viewOf(group, services)), ...groups.unreadable().map((one) => unreadableView(one, services))];
};
