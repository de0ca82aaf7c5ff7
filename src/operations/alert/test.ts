// `alert.test`.
import type { HandlerOf } from '../../task/handler.ts';

export const handler: HandlerOf<'alert.test'> = ({ alert }, { services: { alerts }, signal }) => alerts.test(alert, signal);
