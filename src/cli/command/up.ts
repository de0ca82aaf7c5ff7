// `viv up`: the daemon in the background, and with the host where that is asked for.

import type { Client } from '../../sdk/client.ts';
import { hostDirectories } from '../../sdk/paths.ts';
import { daemonArguments, daemonEnvironment } from '../../sdk/start-daemon.ts';
import { disableAtBoot, enableAtBoot, type Systemd } from '../at-boot.ts';
import { bootUnit } from '../boot-unit.ts';
import { type Command, jsonFlag } from '../command.ts';
import { asJson, type Context } from '../context.ts';

export const command: Command = {
  words: 'up',
  section: 'Host',
  summary: 'Start the daemon in the background if it is not running',
  args: [],
  flags: [
    {
      name: 'at-boot',
      field: 'atBoot',
      kind: 'choice',
      choices: ['yes', 'no'],
      value: 'yes|no',
      help: 'Whether systemd starts the daemon when the host boots (default: unchanged)',
    },
    jsonFlag,
  ],
  notes: [
    '--at-boot yes installs a systemd unit: a system unit for root, else a user unit with lingering enabled.',
    'At boot the daemon starts VMs with --autostart or --restart; systemd restarts the daemon after a failure.',
  ],
  examples: ['viv up', 'viv up --at-boot yes'],
  async run({ flags }, context) {
    const atBoot = flags['atBoot'];
    if (atBoot === 'no') await disableAtBoot(systemdOf(context));
    const client = atBoot === 'yes' ? await upAtBoot(context) : await context.client();
    const status = await client.host.status({}, { signal: context.interrupts.signal });
    const line = `daemon ${status.version} is running (pid ${status.pid}), state in ${status.stateDirectory}`;
    await context.print(flags['json'] === true ? asJson(status) : line);
    if (atBoot === 'no') context.screen.say('the daemon does not start at boot');
    return 0;
  },
};

/** Enabled, it is started as the unit (sdk/start-unit.ts) where no daemon runs yet. */
async function upAtBoot(context: Context): Promise<Client> {
  const systemd = systemdOf(context);
  const hint = await enableAtBoot(systemd);
  context.screen.say(hint || `the daemon starts at boot, by ${systemd.unit.file}`);
  return context.client();
}

function systemdOf({ env, interrupts }: Context): Systemd {
  const uid = process.getuid?.() ?? 0;
  const { stateDirectory } = hostDirectories(env, uid);
  const unit = bootUnit({ env: { ...daemonEnvironment, ...env }, uid, stateDirectory, command: [process.execPath, ...daemonArguments()] });
  return { unit, uid, env, signal: interrupts.signal };
}
