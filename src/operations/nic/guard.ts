// `network.guard`: which groups a NIC is in, and where it may go.
import type { HandlerOf } from '../../task/handler.ts';
import { guardNic } from './set-rules.ts';

export const handler: HandlerOf<'network.guard'> = guardNic('network.guarded');
