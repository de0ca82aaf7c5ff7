// What a guest is told before it is asked anything: that it has slept, or that it is not the VM it was forked from.
import { randomBytes } from 'node:crypto';
import { VivError } from '../../contract/errors.ts';
import type { Networks } from '../../network/networks.ts';
import type { AgentConnection } from '../../qemu/agent/channel.ts';
import type { VmRecord } from '../record.ts';
import { hostnameOf } from '../spec.ts';
import type { Vm } from '../vm.ts';
import { generateHostKeys } from './ssh-host-keys.ts';

/** How the agent says that a guest has nothing of the kind, which it could have in common with another. */
const nothingShared = ': the guest has none';

/** An agent from before it could be told IP addresses: its guest asks for them. */
const askedFor = 'addresses: this agent does not know it';

/** As much as the kernel's generator takes in one piece (random(4)). */
const seedBytes = 32;

/**
 * Repeatable. Does nothing for a VM that was booted, since it has found out for itself who it is and how late it is.
 * A guest that can do a part of it only is in use with that; what it left out is told as an event.
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
  const message = `its guest could not be given an own ${skipped.join(', ')}; it has that of ${vm.record.forkedFrom}`;
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

/** An agent from before it knew of identities sets the clock and the name. */
async function olderAgent(error: unknown, vm: Vm, agent: AgentConnection): Promise<string[]> {
  if (!(error instanceof VivError && error.code === 'guest_failed')) throw error;
  await agent.configure({ timeMs: Date.now(), hostname: hostnameOf(vm.record) });
  return [`random numbers, addresses, VM id and SSH host keys, because its agent is too old (${error.message})`];
}
