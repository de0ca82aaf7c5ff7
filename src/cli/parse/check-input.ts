// Input checked against the contract before anything is sent, so that the sentence can use the user's own words:
// `--memory` instead of `memoryBytes`, NAME instead of `vm`.
import { sentenceOf } from '../../contract/bound.ts';
import { VivError } from '../../contract/errors.ts';
import type { Operation } from '../../contract/operation.ts';
import { surelyFits } from '../../contract/plain.ts';
import { quote } from '../render/text.ts';
import { argumentsOf, flagsOf } from './flag.ts';

/** Fields that are typed otherwise than the contract has them: after --, or as the name of a file. */
const typedAs: Readonly<Record<string, string>> = {
  command: 'COMMAND',
  sshKeys: '--ssh-key',
  userData: '--user-data',
  userDataBase64: '--user-data',
  networkConfig: '--network-config',
  recipe: 'FILE',
  terminal: '--tty',
};

/** Throws `invalid` for the first field that the contract refuses. `dashes` is what stands before a flag’s name: nothing in `viv set`. */
export function checkInput(operation: Operation, input: Readonly<Record<string, unknown>>, dashes = '--'): void {
  if (surelyFits(operation, input)) return;
  const result = operation.input.safeParse(input);
  if (result.success) return;
  const issue = result.error.issues[0];
  const field = String(issue?.path[0] ?? '');
  const argument = argumentsOf(operation).find((candidate) => candidate.field === field);
  const flag = flagsOf(operation).find((candidate) => candidate.field === field);
  const as = typedAs[field] ?? (argument ? argument.label : flag ? `${dashes}${flag.name}` : field);
  let value: unknown = input;
  for (const key of issue?.path ?? []) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  if (issue?.code === 'invalid_type' && value === undefined)
    throw new VivError('invalid', `${as} is missing; see: viv ${operation.cli?.words ?? operation.id} --help`);
  const shown = typeof value === 'string' ? ` ${quote(value)}` : '';
  const message =
    issue?.code === 'invalid_union'
      ? field === 'address'
        ? 'it is not an IPv4 or IPv6 address'
        : 'it is neither a valid name nor a valid address'
      : issue
        ? sentenceOf(issue)
        : 'it is not valid';
  throw new VivError('invalid', `${as}${shown}: ${message}`);
}
