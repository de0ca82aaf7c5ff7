// `network.capture`: frames as they pass, for as long as the caller reads.
import { VivError } from '../../contract/errors.ts';
import { bridgeOf, tapOf } from '../../network/kernel/interface-names.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { isVirtual } from '../../vm/device/nics.ts';

export const handler: HandlerOf<'network.capture'> = async ({ network, vm, filter, packets }, { services: { machines }, signal }) => {
  machines.networks.records.get(network);
  let device = bridgeOf(network);
  if (vm !== undefined) {
    const machine = machines.find(vm);
    const nic = machine.record.nics.find((one) => isVirtual(one) && one.network === network);
    if (!nic) throw new VivError('not_found', `${machine.name} has no card in the network ${network}`);
    if (!machine.live) throw new VivError('wrong_state', `${machine.name} is not running; start it first`);
    device = tapOf(machine.id, nic.id);
  }
  const watching = await machines.networks.here.watching();
  const stream = watching && (await watching.capture(device, { filter: filter ?? null, packets: packets ?? null }, signal));
  if (stream === null) throw new VivError('wrong_state', `no machine runs in the network ${network}, so nothing passes there`);
  return { stream, contentType: 'application/vnd.tcpdump.pcap' };
};
