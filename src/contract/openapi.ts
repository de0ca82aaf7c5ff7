// OpenAPI 3.1 from the table of operations. Deterministic: the committed openapi.json is diffed by the checks.
import { z } from 'zod';
import { errorCodes } from './errors.ts';
import { Event } from './event.ts';
import { Host, Status } from './host.ts';
import { CatalogEntry, Image, Recipe } from './image.ts';
import { operationList } from './index.ts';
import { errorsOf, type Operation } from './operation.ts';
import { ErrorBodySchema } from './stream.ts';
import { Task } from './task.ts';
import { VmOptions } from './vm-options.ts';
import { Vm } from './vm-state.ts';

type Json = { [key: string]: unknown };

/** Shapes with a name of their own in the document. */
const named: Record<string, z.ZodType> = { Vm, VmOptions, Image, CatalogEntry, Recipe, Task, Event, Host, Status, Error: ErrorBodySchema };
const names = new Map<z.ZodType, string>(Object.entries(named).map(([name, schema]) => [schema, name]));

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json;
  return json;
}

/** A reference where the shape has a name, the shape itself otherwise. */
function refer(schema: z.ZodType, io: 'input' | 'output'): Json {
  const name = names.get(schema);
  if (name) return { $ref: `#/components/schemas/${name}` };
  const def = schema._zod.def as unknown as { type: string; element?: z.ZodType };
  if (def.type === 'array' && def.element) return { type: 'array', items: refer(def.element, io) };
  return schemaOf(schema, io);
}

export function openapi(version: string): Json {
  const paths: Record<string, Json> = {};
  for (const operation of operationList) {
    paths[operation.path] = { ...paths[operation.path], [operation.method.toLowerCase()]: describe(operation) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Vivarium',
      version,
      description:
        'The API of a Vivarium host, served on its Unix socket. Sizes are in bytes, times in milliseconds since 1970, durations in milliseconds.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: {
      schemas: Object.fromEntries(
        Object.entries(named).map(([name, schema]) => [
          name,
          schemaOf(schema, name === 'VmOptions' || name === 'Recipe' ? 'input' : 'output'),
        ]),
      ),
    },
  };
}

function describe(operation: Operation): Json {
  const shape = operation.input.shape as Record<string, z.ZodType>;
  const inPath = new Set([...operation.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string));
  const rest = Object.keys(shape).filter((field) => !inPath.has(field));
  const byQuery =
    operation.transport !== 'socket' && (operation.method === 'GET' || operation.method === 'DELETE' || operation.transport === 'upload');
  const whole = schemaOf(operation.input, 'input') as { properties?: Record<string, Json>; required?: string[] };
  const parameter = (field: string, where: 'path' | 'query'): Json => {
    const { description, ...schema } = whole.properties?.[field] ?? {};
    return {
      name: field,
      in: where,
      required: where === 'path' || (whole.required?.includes(field) ?? false),
      ...(description ? { description } : {}),
      schema,
    };
  };
  const parameters = [
    ...[...inPath].map((field) => parameter(field, 'path')),
    ...(byQuery ? rest.map((field) => parameter(field, 'query')) : []),
  ];
  if (operation.task)
    parameters.push({
      name: 'Prefer',
      in: 'header',
      required: false,
      description: 'respond-async: do not wait, answer with the task',
      schema: { type: 'string' },
    });
  return {
    operationId: operation.id,
    tags: [operation.id.split('.')[0]],
    summary: operation.summary,
    ...note(operation),
    'x-permission': operation.permission,
    'x-risk': operation.risk,
    'x-audit': operation.audit,
    'x-transport': operation.transport,
    ...(operation.transport === 'socket' ? { 'x-first-frame': body(operation, inPath) } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...requestBody(operation, inPath, rest, byQuery),
    responses: responses(operation),
  };
}

function note(operation: Operation): Json {
  const words: Partial<Record<Operation['transport'], string>> = {
    socket:
      'A WebSocket. The first text frame is `x-first-frame` as JSON; then binary frames (one byte of channel: 0 stdin, 1 stdout, 2 stderr; then bytes, none for its end) and control messages as JSON text.',
    events: 'Server-sent events; `data` is one document. `event: end` when nothing more will come, `event: error` with an Error.',
    download:
      'A stream of bytes. A failure midway breaks the connection; a caller that says `TE: trailers` gets it as the trailer `viv-error` instead, an Error as percent-encoded JSON.',
    upload: 'The body is a stream of bytes.',
  };
  const description = words[operation.transport];
  return description ? { description } : {};
}

function body(operation: Operation, inPath: ReadonlySet<string>): Json {
  if (inPath.size === 0) return refer(operation.input, 'input');
  return schemaOf(operation.input.omit(Object.fromEntries([...inPath].map((field) => [field, true])) as Record<never, true>), 'input');
}

function requestBody(operation: Operation, inPath: ReadonlySet<string>, rest: readonly string[], byQuery: boolean): Json {
  if (operation.transport === 'upload')
    return { requestBody: { required: true, content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } } } };
  if (byQuery || operation.transport === 'socket' || rest.length === 0) return {};
  const schema = body(operation, inPath);
  const required =
    inPath.size === 0
      ? rest.some((field) => !(operation.input.shape as Record<string, z.ZodType>)[field]?.safeParse(undefined).success)
      : ((schema['required'] as string[] | undefined)?.length ?? 0) > 0;
  return { requestBody: { required, content: { 'application/json': { schema } } } };
}

function responses(operation: Operation): Json {
  const schema = refer(operation.output, 'output');
  const content: Record<Operation['transport'], Json> = {
    json: { description: 'Done', content: { 'application/json': { schema } } },
    upload: { description: 'Done', content: { 'application/json': { schema } } },
    events: { description: 'Events, each of this shape', content: { 'text/event-stream': { schema } } },
    download: { description: 'Bytes', content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } } },
    socket: { description: 'Continues as a WebSocket; the last control message carries this', 'x-output': schema },
  };
  const byStatus = new Map<number, string[]>();
  for (const code of errorsOf(operation)) {
    const { status } = errorCodes[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const failures = [...byStatus].map(([status, codes]) => [
    String(status),
    { description: codes.join(', '), content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } },
  ]);
  const accepted = {
    description: 'Under way: the task',
    headers: { Location: { schema: { type: 'string' } } },
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Task' } } },
  };
  return {
    [operation.transport === 'socket' ? '101' : '200']: content[operation.transport],
    ...(operation.task ? { '202': accepted } : {}),
    ...Object.fromEntries(failures),
  };
}
