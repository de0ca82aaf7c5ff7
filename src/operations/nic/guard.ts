// `network.guard`: which groups a card is in, and where it may go.
import type { HandlerOf } from '../../task/handler.ts';
import { guardCard } from './set-rules.ts';

export const handler: HandlerOf<'network.guard'> = guardCard('network.guarded');
