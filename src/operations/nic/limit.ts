// `network.limit`: how much passes through a NIC in a second.
import type { HandlerOf } from '../../task/handler.ts';
import { guardNic } from './set-rules.ts';

export const handler: HandlerOf<'network.limit'> = guardNic('network.limited');
