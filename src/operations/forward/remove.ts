// `network.unforward`: a forward goes, and the connections through it.
import { forwardName, parseForward } from '../../contract/forward.ts';
import type { ForwardRecord } from '../../network/record/port-forward.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { queueOf } from '../vm/one.ts';

interface Unforwarding {
  record: ForwardRecord;
}

export const handler: HandlerOf<'network.unforward'> = {
  target: ({ record }: Unforwarding) => record.name,
  queue: ({ record }: Unforwarding) => queueOf(record.vm),
  prepare: async ({ forward }, { services: { vms } }): Promise<Unforwarding> => ({
    record: vms.networks.forwards.records.get(forwardName(parseForward(forward))),
  }),
  steps: [
    {
      name: 'close it',
      run: async ({ record }: Unforwarding, { services: { vms, events } }) => {
        await vms.networks.forwards.drop([record]);
        const name = vms.byId(record.vm)?.name ?? record.vm;
        events.record({
          type: 'network.unforwarded',
          subject: record.vm,
          name,
          message: `${record.name} of this host leads to ${name} no more`,
        });
        await vms.networks.changed(); // which closes it, whatever else may fail
      },
    },
  ],
  output: async ({ record }: Unforwarding) => ({ name: record.name }),
};
