// The same request as a command line and as a call of the SDK, to be shown beside a form.
import type { Described } from './contract.ts';

const kebab = (words: string) => words.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const camel = (words: string) => words.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
const plain = /^[\w@%+=:,./{}-]+$/;
const quoted = (value: string) => (plain.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`);

const bytesText = (value: number) => {
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const)
    if (value % size === 0 && value > 0) return `${value / size}${unit}`;
  return String(value);
};

/** `viv run tiny --cpus 2`; null: it has no command. */
export function commandOf(operation: Described, input: Readonly<Record<string, unknown>>): string | null {
  if (operation.words === null) return null;
  const positional = operation.args.map((arg) => arg.replace(/[.?+]+$/, ''));
  const texts = (value: unknown): string[] => (Array.isArray(value) ? value : [value]).map(String);
  const args = positional.flatMap((field) => (input[field] === undefined ? [] : texts(input[field])));
  const flags = Object.entries(input).flatMap(([field, value]) => {
    if (positional.includes(field) || value === undefined || value === null || operation.flags[field] === false) return [];
    const stem = field.replace(/(Bytes|Ms)$/, '');
    const flag = operation.flags[field] || kebab(Array.isArray(value) ? stem.replace(/s$/, '') : stem);
    if (value === true) return [`--${flag}`];
    if (value === false) return [`--no-${flag}`];
    if (typeof value === 'object' && !Array.isArray(value))
      return Object.entries(value).flatMap(([key, one]) => [`--${flag}`, `${key}=${one}`]);
    const written =
      typeof value === 'number' && field.endsWith('Bytes')
        ? [bytesText(value)]
        : typeof value === 'number' && field.endsWith('Ms')
          ? [`${value}ms`]
          : texts(value);
    return written.flatMap((one) => [`--${flag}`, one]);
  });
  return ['viv', operation.words, ...[...args, ...flags].map(quoted)].join(' ');
}

/** `await client.vm.run({ image: 'tiny' })`. */
export function sdkOf({ id }: Pick<Described, 'id'>, input: Readonly<Record<string, unknown>>): string {
  const [noun = '', verb = ''] = id.split('.');
  const given = Object.entries(input).filter(([, value]) => value !== undefined);
  const literal =
    given.length === 0 ? '' : `{ ${given.map(([key, value]) => `${key}: ${JSON.stringify(value)?.replaceAll('"', "'")}`).join(', ')} }`;
  return `await client.${camel(noun)}.${camel(verb)}(${literal})`;
}
