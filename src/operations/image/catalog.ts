// image.catalog: what can be pulled or built by name.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'image.catalog'> = async (_input, { services: { images } }) => images.offers();
