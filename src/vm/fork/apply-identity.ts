// What a guest learns before it is asked anything: the time after a suspend, or that it is another VM than the one it was forked from.
import { randomBytes } from 'node:crypto';
import { VivError } from '../../contract/errors.ts';
import type { Networks } from '../../network/networks.ts';
import type { AgentConnection } from '../../qemu/agent/channel.ts';
import type { VmRecord } from '../record.ts';
import { hostnameOf } from '../spec.ts';
import type { Vm } from '../vm.ts';
import { generateHostKeys } from './ssh-host-keys.ts';

/** How the agent reports a part of the identity that its guest does not have, and so does not share. */
const nothingShared = ': the guest has none';

/** Reported by an agent that cannot set IP addresses: its guest asks DHCP for them. */
const askedFor = 'addresses: this agent does not know it';

/** As much as the kernel's generator takes in one piece (random(4)). */
const seedBytes = 32;

/**
 * Repeatable. Does nothing for a VM that was booted: it has found out its identity and the time by itself.
 * A guest that can apply only a part is used with that; the rest is reported as an event.
 */
export async function applyIdentity(vm: Vm, networks: Networks, agent: AgentConnection): Promise<void> {
  const { pendingIdentity, resumedFromSuspend } = vm.record;
  if (pendingIdentity === null && !resumedFromSuspend) return;
  const own = pendingIdentity === null ? {} : await identityOf(vm.record, pendingIdentity, networks);
  const skipped = await agent.identity({ timeMs: Date.now(), seedBytes: randomBytes(seedBytes), ...own }).then(
    (result) => result.skipped.filter((part) => !part.endsWith(nothingShared) && part !== askedFor),
    (error: unknown) => olderAgent(error, vm, agent),
  );
  await vm.update(() => ({ pendingIdentity: null, resumedFromSuspend: false }));
  const message = `its guest has no ${skipped.join(', ')} of its own, but that of ${vm.record.forkedFrom}`;
  if (pendingIdentity !== null && skipped.length > 0) vm.report('vm.problem', message);
}

async function identityOf(record: VmRecord, { macs }: NonNullable<VmRecord['pendingIdentity']>, networks: Networks) {
  const addressesOf = (mac: string) => record.nics.filter((nic) => nic.mac === mac).flatMap((nic) => networks.nics.addressesOf(nic));
  return {
    hostname: hostnameOf(record),
    machineId: record.uuid.replaceAll('-', ''),
    macs: macs.map((change) => ({ ...change, addresses: addressesOf(change.new) })),
    sshKeys: await generateHostKeys(`root@${hostnameOf(record)}`),
  };
}

/** An agent that does not know identities sets the clock and the host name. */
async function olderAgent(error: unknown, vm: Vm, agent: AgentConnection): Promise<string[]> {
  if (!(error instanceof VivError && error.code === 'guest_failed')) throw error;
  await agent.configure({ timeMs: Date.now(), hostname: hostnameOf(vm.record) });
  return [`random numbers, addresses, VM id and SSH host keys, because its agent is too old (${error.message})`];
}
