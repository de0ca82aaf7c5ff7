// Whether an interface of the host can be joined to a network without taking anything from the host.
import { VivError } from '../contract/errors.ts';
import type { HostInterface } from './host-network.ts';

/** @param interfaces the host's, as they are now @throws invalid, in_use with what is in the way */
export function checkBridgeable(interfaces: readonly HostInterface[], name: string): void {
  const found = interfaces.find((one) => one.name === name);
  const usable = interfaces
    .filter((one) => one.isBridge || (one.isEthernet && one.addresses.length === 0 && one.master === null))
    .map((one) => one.name);
  const others = usable.length === 0 ? 'it has none that could be' : `there are ${usable.join(', ')}`;
  if (!found) throw new VivError('invalid', `the host has no interface ${name} to join a network to; ${others}`);
  if (name === 'lo') throw new VivError('invalid', `lo is the host’s way to itself; ${others}`);
  if (found.isBridge) return;
  if (!found.isEthernet)
    throw new VivError('invalid', `${name} does not carry Ethernet frames, so it cannot be a port of a bridge; ${others}`);
  if (found.master !== null) throw new VivError('in_use', `${name} is a port of ${found.master} already; join the network to that`);
  const [address] = found.addresses;
  if (address === undefined) return;
  const only = interfaces.every((one) => one.name === name || one.addresses.length === 0);
  throw new VivError(
    'in_use',
    `${name} carries ${only ? 'the host’s only address' : 'an address of the host'}, ${address}, which would be lost; make a bridge that has the address and ${name} as a port, and join the network to that`,
  );
}
