// `viv set NAME cpus=2 memory=1GiB`: settings are written as the flags of `create` without their dashes.

import { VivError } from '../../contract/errors.ts';
import { operations } from '../../contract/index.ts';
import type { Vm } from '../../contract/vm-state.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { flagsOf, parseFlag } from '../parse/flag.ts';
import { nearest } from '../parse/nearest.ts';
import { perform } from '../perform.ts';
import { clean, quote } from '../render/text.ts';

const shape = shapeOf(operations.vm.set);
export const settings = flagsOf(operations.vm.set);

/** `cpus=2` and the like as fields of the input; throws `invalid`. */
export function parseSettings(texts: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      const key = at === -1 ? text : text.slice(0, at);
      const flag = settings.find((candidate) => candidate.name === key);
      if (!flag) {
        const close = nearest(
          key,
          settings.map((candidate) => candidate.name),
        );
        throw new VivError(
          'invalid',
          `${quote(key)} is not a setting${close ? `; did you mean ${close}?` : `; the settings are ${settings.map((candidate) => candidate.name).join(', ')}`}`,
        );
      }
      if (at === -1) throw new VivError('invalid', `${key} has no value; write it like ${key}=${flag.value ?? 'true'}`);
      const value = text.slice(at + 1);
      return [flag.field, parseFlag(flag, flag.repeat ? value.split(',').filter((part) => part !== '') : [value], key)];
    }),
  );
}

/** What brings the next start, in the state the VM is in. */
const nextStart = ({ name, state }: Vm): string =>
  state === 'stopped' || state === 'broken'
    ? `viv start ${clean(name)}`
    : state === 'suspended'
      ? `its saved memory has the old settings: viv stop ${clean(name)}, then viv start ${clean(name)}`
      : `viv restart ${clean(name)}`;

export const command: Command = {
  ...shape,
  args: [...shape.args, { field: 'settings', label: 'SETTING=VALUE', help: 'Settings, as listed below', optional: false, several: true }],
  flags: shape.flags.filter((flag) => flag.field === 'json'),
  notes: ['Settings:', ...settings.map((flag) => `  ${`${flag.name}=${flag.value ?? 'true|false'}`.padEnd(34)} ${flag.help}`)],
  examples: ['viv set web cpus=2 memory=1GiB', 'viv set web restart=always boot=cdrom,disk'],
  async run(invocation, context) {
    const vm = one(invocation, 'vm');
    const input = { vm, ...parseSettings(invocation.args['settings'] ?? []) };
    checkInput(operations.vm.set, input, '');
    const client = await context.client();
    const done = await perform(context, `set ${vm}`, (options) => client.vm.set(input, options));
    if (invocation.flags['json'] === true) {
      await context.print(asJson(done));
      return 0;
    }
    const name = (field: string) => settings.find((flag) => flag.field === field)?.name ?? clean(field);
    if (done.applied.length > 0) await context.print(`${clean(done.vm.name)}: ${done.applied.map(name).join(', ')} changed now`);
    if (done.atNextStart.length > 0)
      await context.print(
        `${clean(done.vm.name)}: ${done.atNextStart.map(name).join(', ')} change at the next start (${nextStart(done.vm)})`,
      );
    if (done.applied.length + done.atNextStart.length === 0) await context.print(`${clean(done.vm.name)}: nothing to change`);
    return 0;
  },
};
