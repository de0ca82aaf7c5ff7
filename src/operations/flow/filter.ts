// The filter of `flow.list` and `flow.follow`.
import type { z } from 'zod';
import type { Flow, FlowFilter } from '../../contract/flow.ts';
import type { Services } from '../services.ts';

/** @throws not_found, ambiguous, missing_program or unsupported where this host has no networks */
export async function filterFrom(
  { network, vm, dropped }: z.output<typeof FlowFilter>,
  services: Services,
): Promise<(flow: Flow) => boolean> {
  await services.networks.reconciler.able();
  if (network !== undefined) services.networks.records.get(network);
  const name = vm === undefined ? undefined : services.vms.find(vm).name;
  return ({ verdict, from, to }) =>
    (!dropped || verdict !== 'accept') &&
    (network === undefined || from?.network === network || to?.network === network) &&
    (name === undefined || from?.vm === name || to?.vm === name);
}
