// The step that ends every way in which an image gets here: its files leave staging and become the image.
import { rm, stat } from 'node:fs/promises';
import { VivError } from '../../contract/errors.ts';
import type { Image } from '../../contract/image.ts';
import type { PublishDescription } from '../../image/publish.ts';
import { removeStaged } from '../../image/staging.ts';
import type { Step } from '../handler.ts';
import type { Services } from '../services.ts';

export interface PublishState {
  /** The task's own folder, absolute. */
  staging: string;
  name: string;
  /** The folder in it with the finished files, and what they are. */
  made?: { folder: string; description: PublishDescription };
  digest?: string;
}

export const publishStep: Step<PublishState> = {
  name: 'store the image',
  async run({ staging, name, made }, { services, repeated }) {
    if (!made) throw new VivError('internal', `the image ${name} has nothing to store`);
    const there = (await stat(made.folder).catch(() => null)) !== null;
    // Done again after a crash: its files have left, under this name.
    const image =
      !there && repeated ? await services.images.find(name) : await services.images.publish(made.folder, { ...made.description, name });
    const named = await services.images.name(image.digest, name);
    await rm(staging, { recursive: true, force: true });
    return { digest: named.digest };
  },
};

/** The undo of whatever filled the staging folder. */
export async function emptyStaging({ staging }: { staging: string }): Promise<void> {
  await removeStaged(staging);
}

export async function storedImage(state: { digest?: string; name: string }, { images }: Services): Promise<Image> {
  const image = images.describe(await images.find(state.digest ?? state.name));
  // The name that was asked for comes first.
  return { ...image, names: [...image.names].sort((one, other) => Number(other === state.name) - Number(one === state.name)) };
}
