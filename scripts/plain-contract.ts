// Makes the plain form of the contract (src/contract/plain.ts) and puts it into the bundle of `viv` in place of the contract.
import { dirname, join } from 'node:path';
import type { Plugin } from 'esbuild';
import type { z } from 'zod';
import type { PlainOperation, PlainSchema } from '../src/contract/plain.ts';

const root = dirname(import.meta.dirname);
const contract = join(root, 'src/contract/index.ts');

/** Every operation without its schemas, with what the command line reads from its input's. */
export async function plainOperations(): Promise<Record<string, Record<string, PlainOperation>>> {
  const { operations } = (await import(contract)) as typeof import('../src/contract/index.ts');
  return Object.fromEntries(
    Object.entries(operations).map(([noun, verbs]) => [
      noun,
      Object.fromEntries(
        Object.entries(verbs).map(([verb, { input, output: _, ...rest }]) => [verb, { ...rest, shape: shapeOf(input) } as PlainOperation]),
      ),
    ]),
  );
}

const shapeOf = (input: z.ZodObject): Record<string, PlainSchema> =>
  Object.fromEntries(Object.entries(input.shape).map(([field, schema]) => [field, plain(schema as z.ZodType)]));

type Def = { type: string; options?: z.ZodType[]; defaultValue?: unknown } & Partial<
  Record<'innerType' | 'in' | 'out' | 'element', z.ZodType>
>;

function plain(schema: z.ZodType): PlainSchema {
  const def = schema.def as unknown as Def;
  const { format, options } = schema as { format?: string; options?: unknown[] };
  const text = def.type === 'string' ? textRules(schema) : null;
  const inner = (['innerType', 'in', 'out', 'element'] as const).flatMap((key) => (def[key] ? [[key, plain(def[key])] as const] : []));
  return {
    ...(schema.description === undefined ? {} : { description: schema.description }),
    ...(format == null ? {} : { format }),
    ...(def.type === 'enum' && options ? { options } : {}),
    ...(text ? { text } : {}),
    def: {
      type: def.type,
      ...Object.fromEntries(inner),
      ...(def.type === 'union' && def.options ? { options: def.options.map(plain) } : {}),
      ...(def.type === 'default' ? { defaultValue: def.defaultValue } : {}),
    },
  };
}

/** Lengths and patterns of a text; null where it has another rule, which plain data cannot hold. */
function textRules(schema: z.ZodType): PlainSchema['text'] | null {
  let min = 0;
  let max: number | null = null;
  const patterns: string[] = [];
  const { checks = [], format } = schema.def as unknown as { checks?: { _zod: { def: unknown } }[]; format?: string };
  if (format !== undefined) return null;
  for (const { _zod } of checks) {
    const rule = _zod.def as { check: string; minimum?: number; maximum?: number; format?: string; pattern?: RegExp };
    if (rule.check === 'min_length' && rule.minimum !== undefined) min = Math.max(min, rule.minimum);
    else if (rule.check === 'max_length' && rule.maximum !== undefined) max = Math.min(max ?? rule.maximum, rule.maximum);
    else if (rule.check === 'string_format' && rule.format === 'regex' && rule.pattern?.flags === '') patterns.push(rule.pattern.source);
    else return null;
  }
  return { min, max, patterns };
}

/** Who imports the contract gets its plain form; the schemas are in `contract.js` beside it, an entry of its own. */
export const plainContract: Plugin = {
  name: 'plain-contract',
  setup(build) {
    build.onResolve({ filter: /contract\/index\.ts$/ }, ({ kind }) =>
      kind === 'entry-point' ? undefined : { path: 'contract', namespace: 'plain' },
    );
    build.onResolve({ filter: /^\.\/contract\.js$/ }, () => ({ path: './contract.js', external: true }));
    build.onLoad({ filter: /.*/, namespace: 'plain' }, async () => ({
      resolveDir: root,
      contents: `import { unfold } from './src/contract/plain.ts';
const table = JSON.parse(${JSON.stringify(JSON.stringify(await plainOperations()))});
export const operations = unfold(table, () => require('./contract.js').operations);
export const operationList = Object.values(operations).flatMap((noun) => Object.values(noun));`,
    }));
  },
};
