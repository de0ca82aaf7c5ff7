// image.show: one image.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'image.show'> = async ({ image }, { services: { images } }) => images.describe(await images.find(image));
