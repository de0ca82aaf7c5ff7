// `viv logout`: ends the session of the current context and forgets it.
import { VivError } from '../../contract/errors.ts';
import type { Command } from '../command.ts';
import { localContext, readContexts, writeContexts } from '../contexts.ts';

export const command: Command = {
  words: 'logout',
  section: 'Access',
  summary: 'End the session of the current context and forget it',
  args: [],
  flags: [],
  async run(_invocation, context) {
    const { current, hosts } = await readContexts(context.env);
    const host = hosts[current];
    if (!host) throw new VivError('wrong_state', 'the current context is this computer, which needs no session');
    const { [current]: _gone, ...left } = hosts;
    const { connect } = await import('../../sdk/connect.ts');
    const client = await connect({ url: host.url, token: host.token, ...(host.ca === null ? {} : { ca: host.ca }) });
    try {
      // One that has ended already is no reason to keep it.
      await client.session.remove({ session: 'current' }, { signal: context.interrupts.signal }).catch((error: unknown) => {
        if (!(error instanceof VivError) || error.code !== 'unauthenticated')
          context.screen.say(`the session on ${host.url} could not be ended: ${(error as Error).message}`);
      });
    } finally {
      client.close();
    }
    await writeContexts(context.env, { current: localContext, hosts: left });
    await context.print(`signed out of ${host.url}; the current context is ${localContext}`);
    return 0;
  },
};
