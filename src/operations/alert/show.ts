// `alert.show`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'alert.show'> = async ({ alert }, { services: { alerts } }) => alerts.view(alert);
