// `viv audit forward add NAME URL`: the token of an HTTP collector is asked for, and read from standard input elsewhere.
import { readFile } from 'node:fs/promises';
import { parseCollector } from '../../contract/audit-collector.ts';
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { askSecret } from '../terminal/secret.ts';

const { forwardAdd } = operations.audit;
const shape = shapeOf(forwardAdd, ['token', 'ca']);

export const command: Command = {
  ...shape,
  flags: [
    ...shape.flags,
    { name: 'ca', field: 'ca', kind: 'text', value: 'FILE', help: 'Certificate (PEM) that signed the collector’s (default: the system’s)' },
  ],
  notes: [
    'The token of an HTTP collector is asked for; where standard input is not a terminal, it is read from its first line.',
    'What cannot be delivered waits, up to a million records, and is delivered when the collector answers again.',
  ],
  examples: [
    'viv audit forward add siem syslogs://logs.example:6514',
    'viv audit forward add splunk https://logs.example:8088/services/collector/event < token-file',
  ],
  async run(invocation, context) {
    const { json, ca, ...flags } = invocation.flags;
    const url = one(invocation, 'url');
    const input = {
      ...flags,
      collector: one(invocation, 'collector'),
      url,
      ...(typeof ca === 'string' ? { ca: await readFile(ca, 'utf8') } : {}),
    };
    checkInput(forwardAdd, input);
    const token = parseCollector(url).kind === 'hec' ? { token: await askSecret(context, 'Token of the collector') } : {};
    const added = await (await context.client()).audit.forwardAdd({ ...input, ...token }, { signal: context.interrupts.signal });
    await context.print(json === true ? asJson(added) : added.name);
    return 0;
  },
};
