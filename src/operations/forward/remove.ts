// `forward.remove`: closes a port forward with the connections through it.
import { forwardName, parseForward } from '../../contract/forward.ts';
import type { ForwardRecord } from '../../network/record/port-forward.ts';
import type { HandlerOf } from '../handler.ts';
import { queueOf } from '../vm/one.ts';

interface Removing {
  record: ForwardRecord;
}

export const handler: HandlerOf<'forward.remove'> = {
  target: ({ record }: Removing) => record.name,
  queue: ({ record }: Removing) => queueOf(record.vm),
  prepare: async ({ forward }, { services: { networks } }): Promise<Removing> => ({
    record: networks.forwards.records.get(forwardName(parseForward(forward))),
  }),
  steps: [
    {
      name: 'close the port forward',
      run: async ({ record }: Removing, { services: { networks, vms, events } }) => {
        await networks.forwards.drop([record]);
        const name = vms.byId(record.vm)?.name ?? record.vm;
        events.record({
          type: 'forward.removed',
          subject: record.vm,
          name,
          message: `${record.name} is no longer forwarded to ${name}`,
        });
        await networks.tryReconcile(); // closes it, whatever else fails
      },
    },
  ],
  output: async ({ record }: Removing) => ({ name: record.name }),
};
