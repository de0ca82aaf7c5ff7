// The API reference (docs/reference/api.md), derived from the table of operations. `npm run docs` writes it; test/openapi.test.ts compares it.
import { z } from 'zod';
import { operationList } from '../src/contract/index.ts';
import { errorsOf, type Operation } from '../src/contract/operation.ts';

interface Field {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly description?: string;
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function typeOf(field: Field): string {
  if (field.enum) return field.enum.map((value) => JSON.stringify(value)).join(' or ');
  if (field.type === undefined) return 'value';
  return typeof field.type === 'string' ? field.type : field.type.join(' or ');
}

function inputTable(operation: Operation): string[] {
  const { properties = {}, required = [] } = z.toJSONSchema(operation.input, { io: 'input', unrepresentable: 'any' }) as {
    properties?: Record<string, Field>;
    required?: string[];
  };
  const rows = Object.entries(properties).map(([name, field]) => {
    const standard = field.default === undefined ? '' : ` (default: ${JSON.stringify(field.default)})`;
    const kind = `${typeOf(field)}${required.includes(name) ? ', required' : ''}`;
    return `| \`${name}\` | ${cell(kind)} | ${cell(field.description ?? '')}${cell(standard)} |`;
  });
  return rows.length === 0 ? [] : ['', '| field | type | meaning |', '|---|---|---|', ...rows];
}

/** The whole document, as Markdown. */
export function apiReference(): string {
  const lines = [
    '# The API',
    '',
    'Written by `npm run docs` from the contract. The daemon serves HTTP on a Unix socket (`api.sock` in the run directory), and over TLS where a network listener is on; `openapi.json` describes the same for programs.',
    'Names in braces are part of the path; other fields travel in the query of GET and DELETE requests and in the JSON body of the rest. Every change is a task: with `Prefer: respond-async` the answer is the task.',
  ];
  for (const operation of operationList) {
    lines.push(
      '',
      `## ${operation.id}`,
      '',
      `${operation.summary}.`,
      '',
      `\`${operation.method} ${operation.path}\` · permission \`${operation.permission}\``,
    );
    lines.push(
      ...inputTable(operation),
      '',
      `Errors: ${errorsOf(operation)
        .map((code) => `\`${code}\``)
        .join(', ')}`,
    );
  }
  return `${lines.join('\n')}\n`;
}
