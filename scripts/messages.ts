// Prints every error message of the source, with its code and place, so that they can be read side by side: `npm run messages`.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const src = join(import.meta.dirname, '../src');

export interface Message {
  readonly place: string;
  /** Error code of the contract; `schema` for a rule of a schema. */
  readonly code: string;
  /** As in the source: parts that are filled in stand as ${…}. */
  readonly text: string;
}

/** `new VivError('code', text` with text a literal, template or conditional of them; and the second argument of a schema's rule. */
const thrown = /new VivError\(\s*('[a-z_]+'|[\w.]+(?:\.code)?),\s*/g;

export async function messages(): Promise<Message[]> {
  const files = (await readdir(src, { recursive: true })).filter((name) => name.endsWith('.ts')).sort();
  const found: Message[] = [];
  for (const file of files) {
    const source = await readFile(join(src, file), 'utf8');
    const place = (at: number) => `src/${file}:${source.slice(0, at).split('\n').length}`;
    for (const match of source.matchAll(thrown)) {
      const text = literalAt(source, match.index + match[0].length);
      if (text !== null) found.push({ place: place(match.index), code: (match[1] ?? '').replaceAll("'", ''), text });
    }
  }
  return found;
}

/** The text of the literal that begins there, or of all literals of a conditional; null where there is none. */
function literalAt(source: string, from: number): string | null {
  let depth = 0;
  const parts: string[] = [];
  for (let at = from; at < source.length; at++) {
    const char = source[at] ?? '';
    if (char === "'" || char === '`' || char === '"') {
      const end = endOf(source, at);
      parts.push(source.slice(at + 1, end));
      at = end;
    } else if ('([{'.includes(char)) depth++;
    else if (')]}'.includes(char)) depth--;
    if (depth < 0 || (depth === 0 && char === ',')) break;
  }
  return parts.length === 0 ? null : parts.join(' | ');
}

/** Where the literal that begins at `start` ends. Templates may have templates inside. */
function endOf(source: string, start: number): number {
  const quote = source[start];
  for (let at = start + 1; at < source.length; at++) {
    if (source[at] === '\\') at++;
    else if (source[at] === quote) return at;
    else if (quote === '`' && source[at] === '$' && source[at + 1] === '{') {
      for (let depth = 1, inner = at + 2; ; inner++) {
        const char = source[inner];
        if (char === undefined) return source.length;
        if (char === '`' || char === "'") inner = endOf(source, inner);
        else if (char === '{') depth++;
        else if (char === '}' && --depth === 0) {
          at = inner;
          break;
        }
      }
    }
  }
  return source.length;
}

if (import.meta.main) {
  for (const { place, code, text } of await messages()) process.stdout.write(`${place.padEnd(52)} ${code.padEnd(16)} ${text}\n`);
}
