// `viv context use NAME`
import { VivError } from '../../contract/errors.ts';
import { type Command, one } from '../command.ts';
import { localContext, readContexts, writeContexts } from '../contexts.ts';

export const command: Command = {
  words: 'context use',
  section: 'Access',
  summary: 'Choose the host that commands go to',
  args: [{ field: 'name', label: 'NAME', optional: false, several: false, help: 'Name of the context; local: this computer' }],
  flags: [],
  async run(invocation, context) {
    const name = one(invocation, 'name');
    const contexts = await readContexts(context.env);
    if (name !== localContext && !Object.hasOwn(contexts.hosts, name))
      throw new VivError('not_found', `there is no context ${name}; viv context ls lists them, and viv login makes one`);
    await writeContexts(context.env, { ...contexts, current: name });
    await context.print(name);
    return 0;
  },
};
