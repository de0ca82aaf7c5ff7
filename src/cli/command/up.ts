// `viv up`: the daemon in the background, and with the host where that is asked for.
import { pathsFrom } from '../../host/paths.ts';
import type { Client } from '../../sdk/client.ts';
import { daemonArguments, daemonEnvironment } from '../../sdk/start-daemon.ts';
import { disableAtBoot, enableAtBoot, type Systemd } from '../at-boot.ts';
import { bootUnit } from '../boot-unit.ts';
import { type Command, jsonFlag } from '../command.ts';
import { asJson, type Context } from '../context.ts';

export const command: Command = {
  words: 'up',
  group: 'Host',
  summary: 'Start the daemon in the background, if it is not running yet',
  args: [],
  flags: [
    {
      name: 'at-boot',
      field: 'atBoot',
      kind: 'choice',
      choices: ['yes', 'no'],
      value: 'yes|no',
      help: 'From now on start it with the host, by systemd, or no longer; as it was by default',
    },
    jsonFlag,
  ],
  notes: [
    '--at-boot yes makes a unit of systemd: the system’s for root, else one of the user’s own, who lingers from then on.',
    'It starts again what is to run (--autostart, --restart), and the daemon itself where that ends by a failure.',
  ],
  examples: ['viv up', 'viv up --at-boot yes'],
  async run({ flags }, context) {
    const atBoot = flags['atBoot'];
    if (atBoot === 'no') await disableAtBoot(systemdOf(context));
    const client = atBoot === 'yes' ? await upAtBoot(context) : await context.client();
    const status = await client.host.status({}, { signal: context.interrupts.signal });
    const line = `daemon ${status.version} is running (pid ${status.pid}), state in ${status.stateDirectory}`;
    await context.print(flags['json'] === true ? asJson(status) : line);
    if (atBoot === 'no') context.screen.say('it does not start with the host');
    return 0;
  },
};

/** Enabled, it is started as the unit (sdk/start-unit.ts) where no daemon runs yet. */
async function upAtBoot(context: Context): Promise<Client> {
  const systemd = systemdOf(context);
  const hint = await enableAtBoot(systemd);
  context.screen.say(hint || `it starts with the host from now on, by ${systemd.unit.file}`);
  return context.client();
}

function systemdOf({ env, interrupts }: Context): Systemd {
  const uid = process.getuid?.() ?? 0;
  const { stateDirectory } = pathsFrom(env, uid);
  const unit = bootUnit({ env: { ...daemonEnvironment, ...env }, uid, stateDirectory, command: [process.execPath, ...daemonArguments()] });
  return { unit, uid, env, signal: interrupts.signal };
}
