// image.remove: an image that no VM uses. Whether one does is looked at again in the step, as one may have come meanwhile.
import type { HandlerOf, Step } from '../handler.ts';

interface State {
  digest: string;
  names: string[];
  called: string;
  sizeBytes: number;
  freedBytes?: number;
}

const removeFiles: Step<State> = {
  name: 'remove its files',
  pointOfNoReturn: true,
  async run({ digest, sizeBytes }, { services, repeated }) {
    const { freedBytes } = await services.images.remove(digest);
    // Gone already: by this very step, before a crash.
    return { freedBytes: repeated && freedBytes === 0 ? sizeBytes : freedBytes };
  },
};

export const handler: HandlerOf<'image.remove'> = {
  async prepare({ image: ref }, { services: { images } }): Promise<State> {
    const image = await images.find(ref);
    await images.requireUnused(image.digest);
    return { digest: image.digest, names: image.names, called: image.names[0] ?? image.digest.slice(0, 12), sizeBytes: image.sizeBytes };
  },
  target: (state: State) => state.called,
  queue: (state: State) => `image/${state.digest}`,
  steps: [removeFiles],
  output: async ({ digest, names, freedBytes = 0 }: State) => ({ digest, names, freedBytes }),
};
