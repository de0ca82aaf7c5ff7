// `viv login URL`: signs in to a host over the network and makes it the current context. A set-up or recovery link is redeemed by it too.
import { readFile } from 'node:fs/promises';
import { VivError } from '../../contract/errors.ts';
import type { SignedIn } from '../../contract/session.ts';
import { connect } from '../../sdk/connect.ts';
import { checkUrl, presentedBy } from '../../sdk/remote.ts';
import { type Command, one } from '../command.ts';
import type { Context } from '../context.ts';
import { readContexts, writeContexts } from '../contexts.ts';
import { confirm } from '../terminal/confirm.ts';
import { ask, askNewPassword, askSecret } from '../terminal/secret.ts';

type Flags = Readonly<Record<string, unknown>>;
const text = (flags: Flags, field: string) => flags[field] as string | undefined;

export const command: Command = {
  words: 'login',
  section: 'Access',
  summary: 'Sign in to a host over the network, or redeem a set-up or recovery link',
  args: [{ field: 'url', label: 'URL', optional: false, several: false, help: 'https://host:8843, or the link that the host printed' }],
  flags: [
    { name: 'user', field: 'user', kind: 'text', value: 'NAME', help: 'User name (default: asked for on the terminal)' },
    { name: 'ca', field: 'ca', kind: 'text', value: 'FILE', help: 'Certificate (PEM) that signed the host’s' },
    {
      name: 'fingerprint',
      field: 'fingerprint',
      kind: 'text',
      value: 'SHA256',
      help: 'Fingerprint of the host’s certificate, as viv up --listen prints it',
    },
    { name: 'name', field: 'name', kind: 'text', value: 'NAME', help: 'Name of the context (default: the host’s name)' },
  ],
  notes: [
    'Without --ca or --fingerprint the fingerprint of an unknown host is shown, and trusted from then on.',
    'Where standard input is not a terminal, the password is read from its first line, and a one-time code from the second.',
  ],
  examples: ['viv login https://host.example:8843', 'viv login https://host.example:8843 --user ana < password-file'],
  async run(invocation, context) {
    const { flags } = invocation;
    const typed = one(invocation, 'url');
    const url = checkUrl(typed);
    const ca = await trustedFor(url, flags, context);
    const client = await connect({ url: url.origin, ...(ca === null ? {} : { ca }), signal: context.interrupts.signal });
    try {
      const secret = url.hash.slice(1);
      const session = await (secret === ''
        ? signIn(client.session, flags, context)
        : redeem(client.session, secret, url.pathname, flags, context));
      const name = text(flags, 'name') ?? url.hostname;
      const { hosts } = await readContexts(context.env);
      const host = { url: url.origin, user: session.user, token: session.secret ?? '', ca };
      await writeContexts(context.env, { current: name, hosts: { ...hosts, [name]: host } });
      await context.print(`signed in to ${url.origin} as ${session.user}; the current context is ${name}`);
    } finally {
      client.close();
    }
    return 0;
  },
};

type Sessions = Awaited<ReturnType<typeof connect>>['session'];
type Answer = (typeof SignedIn)['_zod']['output'];

async function signIn(sessions: Sessions, flags: Flags, context: Context): Promise<Answer> {
  const user = text(flags, 'user') ?? (await ask(context, 'User'));
  const password = await askSecret(context, 'Password');
  const call = (code?: string) => sessions.create({ user, password, into: 'answer', ...(code === undefined ? {} : { code }) });
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof VivError) || error.details?.['needs'] !== 'code') throw error;
    return call(await ask(context, 'One-time or recovery code'));
  }
}

async function redeem(sessions: Sessions, secret: string, path: string, flags: Flags, context: Context): Promise<Answer> {
  const setUp = path.includes('setup');
  const user = setUp ? (text(flags, 'user') ?? (await ask(context, 'Name of the first administrator'))) : undefined;
  const password = await askNewPassword(context);
  return sessions.redeem({ secret, password, into: 'answer', ...(user === undefined ? {} : { user }) });
}

/** The certificate to trust; null: the system's. @throws unavailable, cancelled */
async function trustedFor(url: URL, flags: Flags, context: Context): Promise<string | null> {
  const file = text(flags, 'ca');
  if (file !== undefined) return readFile(file, 'utf8');
  const known = Object.values((await readContexts(context.env)).hosts).find((host) => host.url === url.origin);
  const presented = await presentedBy(url, context.interrupts.signal);
  const expected = text(flags, 'fingerprint')?.toUpperCase();
  if (expected !== undefined && expected !== presented.fingerprint)
    throw new VivError(
      'unavailable',
      `${url.origin} presents the fingerprint ${presented.fingerprint}, not the one given; check who answers there`,
    );
  if (expected !== undefined || known?.ca === presented.ca) return presented.ca;
  if (known?.ca) {
    throw new VivError(
      'unavailable',
      `${url.origin} presents another certificate (${presented.fingerprint}) than the one trusted before; if it was changed on purpose: viv login ${url.origin} --fingerprint …`,
    );
  }
  if (presented.trusted) return null;
  context.screen.say(`${url.origin} has the fingerprint ${presented.fingerprint}`);
  if (!context.interactive)
    throw new VivError(
      'unavailable',
      `the certificate of ${url.origin} is not known; compare the fingerprint with what viv up --listen prints there, and give it with --fingerprint`,
    );
  await confirm(context, 'Is it what viv up --listen prints there? Trust it from now on?');
  return presented.ca;
}
