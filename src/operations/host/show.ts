// `host.show`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'host.show'> = ({ prove }, { services }) => services.host.show({ prove });
