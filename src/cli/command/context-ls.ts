// `viv context ls`
import { type Command, jsonFlag, quietFlag } from '../command.ts';
import { asJson } from '../context.ts';
import { localContext, readContexts } from '../contexts.ts';
import { renderTable } from '../render/table.ts';

export const command: Command = {
  words: 'context ls',
  section: 'Access',
  summary: 'List the hosts that viv knows',
  args: [],
  flags: [quietFlag, jsonFlag],
  async run({ flags }, context) {
    const { current, hosts } = await readContexts(context.env);
    // Without the secrets.
    const rows = [
      { name: localContext, url: null as string | null, user: null as string | null, current: current === localContext },
      ...Object.entries(hosts).map(([name, { url, user }]) => ({ name, url, user, current: current === name })),
    ];
    if (flags['json'] === true) await context.print(asJson(rows));
    else if (flags['quiet'] === true) await context.print(rows.map(({ name }) => name).join('\n'));
    else {
      const shape = [
        { title: 'NAME', value: (row: (typeof rows)[number]) => (row.current ? `${row.name}*` : row.name), whole: true },
        { title: 'HOST', value: (row: (typeof rows)[number]) => row.url ?? 'this computer' },
        { title: 'USER', value: (row: (typeof rows)[number]) => row.user ?? '-' },
      ];
      await context.print(renderTable(rows, shape, context.width).join('\n'));
    }
    return 0;
  },
};
