// Twenty secrets pass through a daemon that logs everything, under faults too: none is afterwards in an argument list, an environment, a log, an event, the
// audit log, a task that has ended, or what a daemon that died has left in its log.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { Secret, TOTP } from 'otpauth';
import { connect } from '../../src/sdk/index.ts';
import { faultyHost, underFault } from './faulty-host.ts';
import type { TestHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;

/** Argument lists and environments of every process, as long as it runs. */
function watchProcesses(): { stop(): Promise<string> } {
  const seen = new Set<string>();
  let over = false;
  const watching = (async () => {
    while (!over) {
      for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid))
        for (const file of ['cmdline', 'environ']) seen.add(await readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => ''));
      await new Promise(setImmediate);
    }
  })();
  return {
    async stop() {
      over = true;
      await watching;
      return [...seen].join('\n');
    },
  };
}

/** Every log below the host's folders, also those of QEMU and of what died. */
async function logsOf({ paths }: TestHost): Promise<string> {
  const texts: string[] = [];
  for (const folder of [paths.stateDirectory, paths.run])
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
      if (entry.isFile() && /(\.log|\.jsonl|stderr|report.*\.json|\.out)(\.\d+)?$/.test(entry.name) && entry.name !== 'records.jsonl')
        texts.push(await readFile(join(entry.parentPath, entry.name), 'utf8'));
  return texts.join('\n');
}

test('twenty secrets are in no argument, environment, log, event, audit record or ended task', async () => {
  await using host = await faultyHost({ VIV_LOG_LEVEL: 'trace' });
  await writeFile(host.env['FAKE_QEMU_CONTROL'] as string, JSON.stringify({ agent: true }));
  const secrets = new Map<string, string>();
  /** Made up here, 96 random bits in letters that every field takes. */
  const invent = (what: string) => {
    const secret = `canary${randomBytes(12).toString('hex')}`;
    secrets.set(what, secret);
    return secret;
  };
  /** Made by the host. */
  const keep = (what: string, secret: string | null | undefined) => {
    assert.ok(secret, what);
    secrets.set(what, secret);
    return secret;
  };
  const processes = watchProcesses();
  const { client } = host;

  const password = invent('password');
  await client.user.create({ user: 'ana', password });
  await client.user.grant({ user: 'ana', role: 'administrator' });
  const { url, fingerprint } = await client.listener.set({ listen: '127.0.0.1:0' });
  const remote = await connect({ url, fingerprint });
  const session = await remote.session.create({ user: 'ana', password, into: 'answer' });
  keep('session', session.secret);
  await assert.rejects(remote.session.create({ user: 'ana', password: invent('wrong password'), into: 'answer' }), {
    code: 'unauthenticated',
  });
  const ana = await connect({ url, fingerprint, token: session.secret ?? '' });
  const { secret: totp } = await ana.user.totpBegin({ user: 'ana' });
  keep('one-time secret', totp);
  const code = new TOTP({ secret: Secret.fromBase32(totp) }).generate();
  const { recoveryCodes } = await ana.user.totpConfirm({ user: 'ana', code });
  keep('recovery code', recoveryCodes[0]);
  keep('used recovery code', recoveryCodes[1]);
  await remote.session.create({ user: 'ana', password, code: recoveryCodes[1] ?? '', into: 'answer' });
  const next = invent('next password');
  await ana.user.password({ user: 'ana', password: next, current: password });
  keep('ticket', (await postTicket(url, session.secret ?? '', client)).ticket);
  keep('token', (await client.token.create({ name: 'ci', user: 'ana' })).secret);
  const { link } = await client.user.recover({ user: 'ana' });
  const recovery = keep('recovery link', new URL(link).hash.slice(1));
  const redeemed = await remote.session.redeem({ secret: recovery, password: invent('password after recovery'), into: 'answer' });
  keep('session after recovery', redeemed.secret);
  await assert.rejects(
    connect({ url, fingerprint, token: invent('wrong token') }).then((wrong) => wrong.vm.list({})),
    { code: 'unauthenticated' },
  );

  const seed = {
    userData: `#cloud-config\npassword: ${invent('cloud-init password')}\n`,
    networkConfig: `version: 2\n# ${invent('network secret')}\n`,
  };
  await client.vm.create({ image: 'disk', name: 'web', memoryBytes, ...seed });
  const failing = () => client.vm.create({ image: 'disk', name: 'fails', memoryBytes, ...seed }).catch(() => {});
  await underFault(host, 'vm.create:create the disks:after:run:throw', failing);
  await host.settled();
  await underFault(host, 'vm.create:create the disks:after:run:kill', failing);
  await host.settled();
  const again = host.client;
  await again.vm.start({ vm: 'web' });
  const vm = (await again.vms()).find(({ name }) => name === 'web');
  await vm?.exec(['login', invent('argument in the guest')], {
    env: { PASSWORD: invent('guest’s environment') },
    input: invent('guest’s input'),
  });
  await again.vm.copyIn({ vm: 'web', path: '/tmp' }, Buffer.from(invent('copied content'))).catch(() => {});
  await again.alert.create({ alert: 'hook', rule: 'event vm.ended', to: [`https://192.0.2.1/${invent('webhook')}`] });
  await again.alert.test({ alert: 'hook' }).catch(() => {});
  await again.audit.forwardAdd({ collector: 'siem', url: 'http://127.0.0.1:1/collector', token: invent('collector token') });
  keep('key of the audit log', (await readFile(join(host.paths.audit, 'key'), 'utf8')).trim());
  assert.ok(secrets.size >= 20, `${secrets.size} secrets`);

  await again.vm.stop({ vm: 'web', force: true });
  await host.kill();
  await host.start();
  const places = {
    'an argument or an environment': await processes.stop(),
    'a log': await logsOf(host),
    'an event': JSON.stringify(await host.client.event.list({ limit: 1000 })),
    'the audit log': JSON.stringify(await host.client.audit.list({ limit: 10_000 })),
    'a task': JSON.stringify(await host.client.task.list({ limit: 1000 })),
    'what the API shows': JSON.stringify([
      await host.client.user.list({}),
      await host.client.session.list({}),
      await host.client.token.list({}),
      await host.client.alert.list({}),
      await host.client.audit.forwardList({}),
      await host.client.vm.list({}),
    ]),
  };
  for (const client of [remote, ana]) client.close();
  assert.ok(places['a log'].includes('"level":20') && places['the audit log'].includes('session.redeem'), 'the places are looked at');
  const found = Object.entries(places).flatMap(([place, text]) =>
    [...secrets].filter(([, secret]) => text.includes(secret)).map(([what]) => `${what} is in ${place}`),
  );
  assert.deepEqual(found, []);
});

/** The ticket of a browser: its session is in a cookie. */
function postTicket(url: string, session: string, client: TestHost['client']): Promise<{ ticket: string }> {
  return new Promise((resolve, reject) => {
    void client.vm.create({ image: 'tiny', name: 'ticketed', memoryBytes }).then(() => {
      const headers = { cookie: `__Host-viv-session=${session}`, origin: url, 'content-type': 'application/json' };
      const sent = httpsRequest(
        `${url}/v1/vms/ticketed/tickets`,
        { method: 'POST', headers, rejectUnauthorized: false, agent: false },
        (answer) => {
          let text = '';
          answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
          answer.on('end', () => resolve(JSON.parse(text) as { ticket: string }));
        },
      );
      sent.on('error', reject);
      sent.end('{"kind":"console"}');
    }, reject);
  });
}
