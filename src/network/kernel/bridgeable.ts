// Whether an interface of the host can be joined to a network without taking anything from the host.
import { VivError } from '../../contract/errors.ts';
import type { HostInterface } from './host-network.ts';

/** What is in the way: invalid or in_use; null: nothing. @param interfaces the host's, as they are now */
export function bridgeObstacle(interfaces: readonly HostInterface[], name: string): VivError | null {
  const found = interfaces.find((one) => one.name === name);
  const usable = interfaces
    .filter((one) => one.isBridge || (one.isEthernet && one.addresses.length === 0 && one.master === null))
    .map((one) => one.name);
  const others = usable.length === 0 ? 'it has none that could be' : `there are ${usable.join(', ')}`;
  if (!found) return new VivError('invalid', `the host has no interface ${name} to join a network to; ${others}`);
  if (name === 'lo') return new VivError('invalid', `lo is the host’s way to itself; ${others}`);
  if (found.isBridge) return null;
  if (!found.isEthernet)
    return new VivError('invalid', `${name} does not carry Ethernet frames, so it cannot be a port of a bridge; ${others}`);
  if (found.master !== null) return new VivError('in_use', `${name} is a port of ${found.master} already; join the network to that`);
  const [address] = found.addresses;
  if (address === undefined) return null;
  const only = interfaces.every((one) => one.name === name || one.addresses.length === 0);
  return new VivError(
    'in_use',
    `${name} carries ${only ? 'the host’s only address' : 'an address of the host'}, ${address}, which would be lost; make a bridge that has the address and ${name} as a port, and join the network to that`,
  );
}
