// `forward.remove`: closes a port forward with the connections through it.
import { forwardName, parseForward } from '../../contract/forward.ts';
import type { ForwardRecord } from '../../network/record/port-forward.ts';
import type { HandlerOf } from '../handler.ts';
import { queueOf } from '../vm/one.ts';

interface Removing {
  name: string;
  /** Null: it cannot be read. */
  record: ForwardRecord | null;
}

export const handler: HandlerOf<'forward.remove'> = {
  target: ({ name }: Removing) => name,
  queue: ({ record }: Removing) => (record === null ? 'networks' : queueOf(record.vm)),
  prepare: async ({ forward, force }, { services: { networks } }): Promise<Removing> => {
    const { records } = networks.forwards;
    const name = forwardName(parseForward(forward));
    return { name, record: force && records.unreadableOf(name) ? null : records.get(name) };
  },
  steps: [
    {
      name: 'close the port forward',
      run: async ({ name: forward, record }: Removing, { services: { networks, vms, events } }) => {
        if (record === null) return void (await networks.forwards.records.dropUnreadable(forward));
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
  output: async ({ name }: Removing) => ({ name }),
};
