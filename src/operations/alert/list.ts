// `alert.list`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'alert.list'> = async (_input, { services: { alerts } }) =>
  alerts.all().map(({ name }) => alerts.view(name));
