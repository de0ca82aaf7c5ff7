// Whether an interface of the host can be connected to a bridged network without taking anything from the host.
import { VivError } from '../../contract/errors.ts';
import type { HostInterface } from './host-network.ts';

/** Why it cannot (invalid or in_use); null: it can. @param interfaces those of the host */
export function bridgeObstacle(interfaces: readonly HostInterface[], name: string): VivError | null {
  const found = interfaces.find((one) => one.name === name);
  const usable = interfaces
    .filter((one) => one.isBridge || (one.isEthernet && one.addresses.length === 0 && one.master === null))
    .map((one) => one.name);
  const others = usable.length === 0 ? 'no other interface is usable' : `usable: ${usable.join(', ')}`;
  if (!found) return new VivError('invalid', `the host has no interface ${name}; ${others}`);
  if (name === 'lo') return new VivError('invalid', `lo cannot be bridged, because it is the loopback interface; ${others}`);
  if (found.isBridge) return null;
  if (!found.isEthernet) return new VivError('invalid', `${name} cannot be bridged, because it does not carry Ethernet frames; ${others}`);
  if (found.master !== null)
    return new VivError(
      'in_use',
      `${name} cannot be bridged, because it is a port of ${found.master} already; use --interface ${found.master}`,
    );
  const [address] = found.addresses;
  if (address === undefined) return null;
  const only = interfaces.every((one) => one.name === name || one.addresses.length === 0);
  return new VivError(
    'in_use',
    `${name} cannot be bridged, because it has ${only ? 'the host’s only address' : 'an address of the host'}, ${address}, which would be lost. Create a bridge that has the address and ${name} as a port, and use that`,
  );
}
