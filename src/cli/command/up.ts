// `viv up`: the daemon in the background, and with the host where that is asked for.

import { resolve } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import { operations } from '../../contract/index.ts';
import type { Client } from '../../sdk/client.ts';
import { hostDirectories } from '../../sdk/paths.ts';
import { daemonArguments, daemonEnvironment } from '../../sdk/start-daemon.ts';
import { disableAtBoot, enableAtBoot, type Systemd } from '../at-boot.ts';
import { bootUnit } from '../boot-unit.ts';
import { type Command, jsonFlag } from '../command.ts';
import { asJson, type Context } from '../context.ts';
import { checkInput } from '../parse/check-input.ts';

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
    {
      name: 'listen',
      field: 'listen',
      kind: 'text',
      value: 'ADDR:PORT',
      help: 'Serve the API over HTTPS there, also after a restart; none: no longer',
    },
    {
      name: 'name',
      field: 'names',
      kind: 'text',
      value: 'HOST',
      repeat: true,
      help: 'Further host name that clients use, for the certificate and links',
    },
    { name: 'certificate', field: 'certificate', kind: 'text', value: 'FILE', help: 'Certificate file (PEM) instead of the host’s own' },
    { name: 'key', field: 'key', kind: 'text', value: 'FILE', help: 'Key file of the certificate' },
    jsonFlag,
  ],
  notes: [
    '--at-boot yes installs a systemd unit: a system unit for root, else a user unit with lingering enabled.',
    'At boot the daemon starts VMs with --autostart or --restart; systemd restarts the daemon after a failure.',
  ],
  examples: ['viv up', 'viv up --listen 0.0.0.0:8843', 'viv up --at-boot yes'],
  async run({ flags }, context) {
    const atBoot = flags['atBoot'];
    if (atBoot === 'no') await disableAtBoot(systemdOf(context));
    const client = atBoot === 'yes' ? await upAtBoot(context) : await context.client();
    const status = await client.host.status({}, { signal: context.interrupts.signal });
    const listening = await listen(client, flags, context);
    const line = `daemon ${status.version} is running (pid ${status.pid}), state in ${status.stateDirectory}`;
    await context.print(flags['json'] === true ? asJson(listening === undefined ? status : { ...status, listener: listening }) : line);
    if (listening && flags['json'] !== true) await context.print(listenerLines(listening).join('\n'));
    if (atBoot === 'no') context.screen.say('the daemon does not start at boot');
    return 0;
  },
};

type Listening = Awaited<ReturnType<Client['listener']['set']>>;

/** Undefined: nothing was asked for. */
async function listen(client: Client, flags: Readonly<Record<string, unknown>>, context: Context): Promise<Listening | undefined> {
  const {
    listen: address,
    names = [],
    certificate,
    key,
  } = flags as { listen?: string; names?: string[]; certificate?: string; key?: string };
  const options = { signal: context.interrupts.signal };
  if (address === undefined) {
    if (names.length > 0 || certificate !== undefined || key !== undefined)
      throw new VivError('invalid', '--name, --certificate and --key are for --listen; add it, such as --listen 0.0.0.0:8843');
    return undefined;
  }
  if (address === 'none') {
    const { closed } = await client.listener.remove({}, options);
    context.screen.say(closed ? 'the network listener is closed' : 'there was no network listener');
    return undefined;
  }
  const files = {
    ...(certificate === undefined ? {} : { certificate: resolve(certificate) }),
    ...(key === undefined ? {} : { key: resolve(key) }),
  };
  const input = { listen: address, names, ...files };
  checkInput(operations.listener.set, input);
  return client.listener.set(input, options);
}

const listenerLines = ({ url, fingerprint, setUpLink }: Listening): string[] => [
  `listening on ${url}`,
  `fingerprint ${fingerprint}`,
  ...(setUpLink === null ? [] : [`no user exists yet; make the first administrator within 15 minutes: viv login '${setUpLink}'`]),
];

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
