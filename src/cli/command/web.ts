// `viv web`: the listener where it is off, a link that signs a browser in, and the browser where there is a desktop.
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { operations } from '../../contract/index.ts';
import { defaultPort } from '../../contract/listener.ts';
import type { Command } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The program that opens a URL on this desktop; null where there is no desktop or none is installed. */
export function browserOpener(env: Environment): string | null {
  if (!env['DISPLAY'] && !env['WAYLAND_DISPLAY']) return null;
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    if (folder === '') continue;
    const program = join(folder, 'xdg-open');
    try {
      accessSync(program, constants.X_OK);
      return program;
    } catch {
      // not here: the next folder
    }
  }
  return null;
}

const shape = shapeOf(operations.session.link);

export const command: Command = {
  ...shape,
  summary: 'Open the web console',
  flags: [
    ...shape.flags,
    {
      name: 'listen',
      field: 'listen',
      kind: 'text',
      value: 'ADDR:PORT',
      help: `Where to serve it if the network listener is off (default: 127.0.0.1:${defaultPort})`,
    },
    { name: 'print', field: 'print', kind: 'boolean', help: 'Print the link and open no browser' },
  ],
  notes: [
    'The link signs you in once, within 15 minutes. The certificate is the host’s own, so a browser warns: compare the fingerprint.',
    'From another computer: viv up --listen 0.0.0.0:8843, or ssh -L 8843:127.0.0.1:8843 THIS-HOST.',
  ],
  examples: ['viv web', 'viv web --print'],
  async run({ flags }, context) {
    const client = await context.client();
    const options = { signal: context.interrupts.signal };
    const listener = (await client.listener.show({}, options)) ?? (await listen());
    const { link, ...rest } = await client.session.link({}, options);
    if (flags['json'] === true) {
      await context.print(asJson({ link, ...rest }));
      return 0;
    }
    await context.print(link);
    context.screen.say(`signs ${rest.user} in, once, within 15 minutes; fingerprint of the certificate: ${listener.fingerprint}`);
    const opener = flags['print'] === true ? null : browserOpener(context.env);
    if (opener !== null) await open(opener, link);
    return 0;

    function listen() {
      const input = { listen: (flags['listen'] as string | undefined) ?? `127.0.0.1:${defaultPort}` };
      checkInput(operations.listener.set, input);
      return client.listener.set(input, options);
    }
  },
};

function open(program: string, link: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [link], { stdio: 'ignore', detached: true });
    child.once('error', reject);
    child.once('spawn', () => {
      child.unref();
      resolve();
    });
  });
}
