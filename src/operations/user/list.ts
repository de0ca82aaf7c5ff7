// `user.list`.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './one.ts';

export const handler: HandlerOf<'user.list'> = async (_input, { services }) =>
  services.access.users.all().map((user) => viewOf(user, services));
