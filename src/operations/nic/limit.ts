// `network.limit`: how much passes through a card in a second.
import type { HandlerOf } from '../../task/handler.ts';
import { guardCard } from './set-rules.ts';

export const handler: HandlerOf<'network.limit'> = guardCard('network.limited');
