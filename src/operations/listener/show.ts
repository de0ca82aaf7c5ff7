// `listener.show`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'listener.show'> = async (_input, { services }) => services.listener.state();
