// `viv up`: the daemon in the background.
import { type Command, jsonFlag } from '../command.ts';
import { asJson } from '../context.ts';

export const command: Command = {
  words: 'up',
  group: 'Host',
  summary: 'Start the daemon in the background, if it is not running yet',
  args: [],
  flags: [jsonFlag],
  async run({ flags }, context) {
    const client = await context.client();
    const status = await client.host.status({}, { signal: context.interrupts.signal });
    await context.print(
      flags['json'] === true ? asJson(status) : `daemon ${status.version} is running (pid ${status.pid}), state in ${status.home}`,
    );
    return 0;
  },
};
