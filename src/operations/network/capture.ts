// `network.capture`: frames as they pass, as pcap, for as long as the client reads.
import { VivError } from '../../contract/errors.ts';
import { bridgeOf, tapOf } from '../../network/kernel/interface-names.ts';
import { isVirtual } from '../../vm/device/nics.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'network.capture'> = async (
  { network, vm: vmRef, filter, packets },
  { services: { networks, vms }, signal },
) => {
  networks.records.get(network);
  let device = bridgeOf(network);
  if (vmRef !== undefined) {
    const vm = vms.find(vmRef);
    const nic = vm.record.nics.find((one) => isVirtual(one) && one.network === network);
    if (!nic) throw new VivError('not_found', `${vm.name} has no NIC in the network ${network}`);
    if (!vm.live) throw new VivError('wrong_state', `${vm.name} is not running; start it first`);
    device = tapOf(vm.id, nic.id);
  }
  const monitor = await networks.reconciler.monitor();
  const stream = monitor && (await monitor.capture(device, { filter: filter ?? null, packets: packets ?? null }, signal));
  if (stream === null)
    throw new VivError('wrong_state', `no VM runs in the network ${network}, so there is nothing to capture; start one first`);
  return { stream, contentType: 'application/vnd.tcpdump.pcap' };
};
