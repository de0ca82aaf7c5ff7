// `network.limit`: how much passes through a card in a second.
import type { HandlerOf } from '../handler.ts';
import { guardCard } from './guard-card.ts';

export const handler: HandlerOf<'network.limit'> = guardCard('network.limited');
