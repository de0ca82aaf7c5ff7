// Requests made from openapi.json with hostile values, sent to a host over fake QEMU: none may be answered as a bug or otherwise than the document says, and
// none may end the daemon.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import { z } from 'zod';
import { alive, type TestHost } from '../test-host.ts';
import { hostileText, hostileValue, pick, plausible, type Random, randomFrom, type Schema } from './values.ts';

interface Described {
  readonly operationId: string;
  readonly 'x-transport': string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: 'path' | 'query' | 'header';
    readonly required: boolean;
    readonly schema: Schema;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>>;
}

interface Target {
  readonly method: string;
  readonly path: string;
  readonly operation: Described;
  /** By status; absent: the document has no JSON for it. */
  readonly answers: ReadonlyMap<string, z.ZodType | null>;
}

interface Made {
  readonly target: Target;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** Its whole effect is the end of the daemon. */
const left: ReadonlySet<string> = new Set(['host.shutdown']);
/** What would fetch, build, listen or write beyond the host under test has something hostile in it each time. */
const neverPlausible: ReadonlySet<string> = new Set([
  ...['image.pull', 'image.build', 'image.import', 'image.export', 'network.create', 'network.set', 'listener.set', 'alert.create'],
  ...['forward.add', 'nic.add', 'vm.remove', 'vm.rename'],
]);
const abandonMs = 5000;

async function targetsOf(file: URL): Promise<Target[]> {
  const document = JSON.parse(await readFile(file, 'utf8')) as {
    paths: Record<string, Record<string, Described>>;
    components: { schemas: Record<string, unknown> };
  };
  const inline = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(inline);
    if (part === null || typeof part !== 'object') return part;
    const { $ref } = part as { $ref?: string };
    if (typeof $ref === 'string') return inline(document.components.schemas[$ref.split('/').at(-1) ?? '']);
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, inline(value)]));
  };
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => {
      const operation = inline(described) as Described;
      const answers = Object.entries(operation.responses).map(([status, { content }]) => {
        const schema = content?.['application/json']?.schema;
        return [status, schema ? z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]) : null] as const;
      });
      return { method: method.toUpperCase(), path, operation, answers: new Map(answers) };
    }),
  );
}

function make(target: Target, random: Random): Made {
  const { operation } = target;
  const { operationId: id, parameters = [], requestBody } = operation;
  const fields: { where: 'path' | 'query' | 'body'; name: string; required: boolean; schema: Schema }[] = [
    ...parameters.flatMap(({ name, in: where, required, schema }) => (where === 'header' ? [] : [{ where, name, required, schema }])),
  ];
  const whole = requestBody?.content['application/json']?.schema;
  for (const [name, schema] of Object.entries(whole?.properties ?? {}))
    fields.push({ where: 'body', name, required: whole?.required?.includes(name) ?? false, schema });
  const given = fields.filter(({ required, where }) => where === 'path' || (required ? random() < 0.95 : random() < 0.3));
  const attacked = new Set<string>();
  const attack = neverPlausible.has(id) || random() < 0.85;
  if (attack && given.length > 0) for (let count = random() < 0.6 ? 1 : 2; count > 0; count--) attacked.add(pick(given, random).name);
  const values = new Map(given.map((field) => [field, attacked.has(field.name) ? hostileValue(random) : plausible(field.schema, random)]));
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  let path = target.path;
  const query = new URLSearchParams();
  const body: Record<string, unknown> = {};
  for (const [{ where, name }, value] of values) {
    if (where === 'path') path = path.replace(`{${name}}`, encodeURIComponent(text(value).toWellFormed()));
    else if (where === 'query')
      for (const one of Array.isArray(value) ? value.slice(0, 20) : [value]) query.append(name, text(one).toWellFormed());
    else body[name] = value;
  }
  // What must not happen by chance: a whole request to one of these.
  if (neverPlausible.has(id) && attacked.size === 0) body['nosuchfield'] = hostileValue(random);
  if (random() < 0.05) query.append(hostileText(random).toWellFormed(), hostileText(random).toWellFormed());
  const search = query.size > 0 ? `?${query}`.slice(0, 20_000) : '';
  const malformed = random() < 0.05;
  const sent =
    requestBody === undefined
      ? undefined
      : malformed
        ? pick(['', '{', '[]', 'null', '"x"', '\0', '{"__proto__":{"x":1}}', '[['.repeat(5000)], random)
        : JSON.stringify(body);
  const type = operation['x-transport'] === 'upload' ? 'application/octet-stream' : 'application/json';
  return {
    target,
    path: `${path}${search}`.slice(0, 30_000),
    headers: { ...(sent === undefined ? {} : { 'content-type': type }), ...(target.answers.has('202') ? { prefer: 'respond-async' } : {}) },
    body: sent,
  };
}

/** The status and the body of an answer that has an end soon; what streams or waits is left after a while. */
function send(agent: Agent, { target, path, headers, body }: Made): Promise<{ status: number; text: string | null }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ agent, method: target.method, path, headers }, (response) => {
      const type = response.headers['content-type'] ?? '';
      const status = response.statusCode ?? 0;
      if (!type.startsWith('application/json')) {
        resolve({ status, text: null });
        return void response.destroy();
      }
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status, text: Buffer.concat(chunks).toString('utf8') }));
      response.on('error', reject);
    });
    request.setTimeout(abandonMs, () => {
      resolve({ status: 0, text: null }); // it waits for something, as vm.wait does
      request.destroy();
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** @throws with every answer that was wrong, and the seed that repeats them */
export async function sendHostileRequests(
  host: TestHost,
  { count, seed }: { count: number; seed: number },
): Promise<{ statuses: Record<string, number> }> {
  const random = randomFrom(seed);
  const targets = (await targetsOf(new URL('../../../openapi.json', import.meta.url))).filter(
    ({ operation }) => !left.has(operation.operationId),
  );
  const agent = new Agent({ keepAlive: true, maxSockets: 4, socketPath: host.paths.apiSocket } as ConstructorParameters<typeof Agent>[0]);
  const statuses: Record<string, number> = {};
  const wrong: string[] = [];
  const judge = ({ target, path, body }: Made, { status, text }: { status: number; text: string | null }) => {
    statuses[status] = (statuses[status] ?? 0) + 1;
    const complain = (why: string) =>
      wrong.push(
        `${target.operation.operationId}: ${why}: ${target.method} ${path.slice(0, 300)} ${body?.slice(0, 300) ?? ''} -> ${status} ${text?.slice(0, 300) ?? ''}`,
      );
    if (status === 0) return;
    if (status === 500) return complain('answered as a bug');
    if (text === null) return;
    // A path that matches no route is answered before any operation is reached.
    if (status === 404 && /"there is no (GET|POST|PUT|PATCH|DELETE) /.test(text)) return;
    const schema = target.answers.get(String(status));
    if (schema === undefined) return complain('the document has no such status');
    const found = schema?.safeParse(JSON.parse(text));
    if (found && !found.success) complain(`not as the document says (${JSON.stringify(found.error.issues.slice(0, 2))})`);
  };
  let next = 0;
  try {
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        while (next < count && wrong.length < 20) {
          const made = make(targets[next++ % targets.length] as Target, random);
          judge(made, await send(agent, made));
        }
      }),
    );
  } finally {
    agent.destroy();
  }
  assert.deepEqual(wrong, [], `seed ${seed}`);
  assert.ok(alive(host.pid), `the daemon ended (seed ${seed})`);
  assert.equal((await host.client.host.status({})).pid, host.pid);
  return { statuses };
}
