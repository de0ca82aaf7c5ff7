// `network.guard`: which groups a card is in, and where it may go.
import type { HandlerOf } from '../handler.ts';
import { guardCard } from './guard-card.ts';

export const handler: HandlerOf<'network.guard'> = guardCard('network.guarded');
