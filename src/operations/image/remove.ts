// image.remove: a name is a reference to an image; its files go with the last one, unless a VM uses them. That is checked again in the step.
import type { HandlerOf, Step } from '../handler.ts';

interface State {
  digest: string;
  /** The names that go. */
  names: string[];
  called: string;
  sizeBytes: number;
  /** Other names are left. */
  keepsFiles: boolean;
  freedBytes?: number;
}

const removeFiles: Step<State> = {
  name: 'remove the image',
  pointOfNoReturn: true,
  async run({ digest, names, sizeBytes, keepsFiles }, { services, repeated }) {
    const { freedBytes } = await services.images.remove(digest, names);
    // Gone already: by this very step, before a crash.
    return { freedBytes: repeated && freedBytes === 0 && !keepsFiles ? sizeBytes : freedBytes };
  },
};

export const handler: HandlerOf<'image.remove'> = {
  async prepare({ image: ref }, { services: { images } }): Promise<State> {
    const image = await images.find(ref);
    const named = image.names.find((name) => name === ref) ?? image.names.find((name) => name === `${ref}:latest`);
    const names = named === undefined ? image.names : [named];
    const keepsFiles = names.length < image.names.length;
    if (keepsFiles) images.requireOwn(image);
    else await images.requireUnused(image.digest);
    return { digest: image.digest, names, keepsFiles, called: names[0] ?? image.digest.slice(0, 12), sizeBytes: image.sizeBytes };
  },
  target: (state: State) => state.called,
  queue: (state: State) => `image/${state.digest}`,
  steps: [removeFiles],
  output: async ({ digest, names, freedBytes = 0 }: State) => ({ digest, names, freedBytes }),
};
