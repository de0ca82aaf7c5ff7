// `host.show`.
import type { HandlerOf } from '../../task/handler.ts';

export const handler: HandlerOf<'host.show'> = ({ prove }, { services }) => services.host.show({ prove });
