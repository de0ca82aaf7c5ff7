// What access costs: an authenticated request over TLS beside one over the host's socket, in CPU time of the daemon; and the permission check of a long list.
import { readFileSync } from 'node:fs';
import { Identity } from '../src/access/identity.ts';
import { builtInSet } from '../src/access/role/permission.ts';
import type { Known } from '../src/operations/access/objects.ts';
import { shownTo } from '../src/operations/access/visible.ts';
import { connect } from '../src/sdk/index.ts';
import { type Figure, median, roundsOr } from './measure.ts';
import { withStateDirectory } from './state-directory.ts';

const requests = 1000;
const ticksPerSecond = 100;
const listed = 1000;

/** CPU time that a process has used, ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
}

export const access = () =>
  withStateDirectory<Figure[]>(async ({ client, pid }) => {
    const password = 'correct horse battery';
    await client.user.create({ user: 'ana', password });
    await client.user.grant({ user: 'ana', role: 'viewer' });
    const { url, fingerprint } = await client.listener.set({ listen: '127.0.0.1:0' });
    const { secret } = await client.token.create({ name: 'bench', user: 'ana' });
    await using remote = await connect({ url, fingerprint, token: secret });
    const cost = async (one: typeof client) => {
      const before = cpuMs(pid);
      for (let count = 0; count < requests; count++) await one.vm.list({});
      return (cpuMs(pid) - before) / requests;
    };
    const socket: number[] = [];
    const tls: number[] = [];
    for (let round = 0; round < roundsOr(5) + 1; round++) {
      const [one, other] = [await cost(client), await cost(remote)];
      if (round === 0) continue; // the compiler has to learn both
      socket.push(one);
      tls.push(other);
    }
    const check = await checkMs();
    return [
      { name: 'CPU of the daemon, a request over the socket', value: median(socket), unit: 'ms', target: null },
      { name: 'CPU of the daemon, authenticated over TLS', value: median(tls), unit: 'ms', target: null },
      { name: 'CPU that TLS and a token add', value: median(tls) - median(socket), unit: 'ms', target: 0.3 },
      { name: `permission check of a list of ${listed} VMs`, value: check, unit: 'ms', target: 1 },
    ];
  });

/** Of a user with a role in one of two projects. */
async function checkMs(): Promise<number> {
  const vms = Array.from({ length: listed }, (_, index) => ({
    id: `vm${index}`,
    name: `vm${index}`,
    record: { project: index % 2 ? 'blue' : 'red' },
  }));
  const byId = new Map(vms.map((vm) => [vm.id, vm]));
  const known = { vms: { byId: (id: string) => byId.get(id) } } as unknown as Known;
  const user = { disabled: false } as NonNullable<Identity['user']>;
  const grants = [{ role: 'operator', scope: { kind: 'project', id: 'blue' } as const, permissions: builtInSet('operator') }];
  const identity = new Identity(
    { user: 'u', name: 'ana', via: 'session', session: 's', token: null, from: null },
    { userOf: () => user, limitOf: () => null, grantsOf: () => grants },
  );
  const times: number[] = [];
  for (let round = 0; round < 300; round++) {
    const from = performance.now();
    const shown = (await shownTo(identity, 'vm.list', vms, known)) as unknown[];
    if (round >= 100) times.push(performance.now() - from);
    if (shown.length !== listed / 2) throw new Error(`${shown.length} VMs are shown`);
  }
  return median(times);
}
