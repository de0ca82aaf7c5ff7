// image.verify: reads all files of an image again. Nothing is changed, so there is nothing to undo and it may be done any number of times.
import type { HandlerOf, Step } from '../handler.ts';

interface State {
  digest: string;
  names: string[];
  called: string;
  files: number;
  bytes: number;
}

const readFiles: Step<State> = {
  name: 'read its files',
  async run({ digest, called, bytes }, { services, signal, progress }) {
    const onBytes = (done: number) => progress({ message: `reading ${called}`, done, total: bytes, unit: 'bytes' });
    await services.images.verify(digest, { signal, onBytes });
  },
};

export const handler: HandlerOf<'image.verify'> = {
  async prepare({ image: ref }, { services: { images } }): Promise<State> {
    const { digest, names, files, sizeBytes } = await images.find(ref);
    return { digest, names, called: names[0] ?? digest.slice(0, 12), files: files.length, bytes: sizeBytes };
  },
  target: (state: State) => state.called,
  queue: (state: State) => `image/${state.digest}`,
  steps: [readFiles],
  output: async ({ digest, names, files, bytes }: State) => ({ digest, names, files, bytes }),
};
