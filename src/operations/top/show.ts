// `top.show`.
import type { HandlerOf } from '../handler.ts';
import { topOf } from './latest.ts';

export const handler: HandlerOf<'top.show'> = async (_input, { services }) => topOf(services);
