// `alert.test`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'alert.test'> = ({ alert }, { services: { alerts }, signal }) => alerts.test(alert, signal);
