// image.list: the images on this host.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'image.list'> = async (_input, { services: { images } }) => (await images.list()).map(images.describe);
