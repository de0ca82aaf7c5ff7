// Calls an operation of the contract over fetch. The session is in a cookie that scripts cannot read.
import routes from 'virtual:routes';
import { type ErrorBody, VivError } from '../../../src/contract/errors.ts';
import type { Operation } from '../../../src/contract/operation.ts';
import { route } from '../../../src/sdk/route.ts';
import { expire } from './session.ts';
import type { Id, Input, Output, Risk } from './types.ts';

type Known = Pick<Operation, 'id' | 'method' | 'path' | 'transport' | 'task'> & { risk: Risk };

const known = new Map<string, Known>(
  routes.map(([id, method, path, transport, task, risk]) => [id, { id, method, path, transport, task, risk }]),
);

export function operationOf(id: string): Known {
  const operation = known.get(id);
  if (!operation) throw new VivError('unsupported', `there is no operation ${id}`);
  return operation;
}

/** The path of an operation with its query: for streams, downloads and links. */
export const pathOf = <I extends Id>(id: I, input: Input<I>): string =>
  route(operationOf(id) as unknown as Operation, input as Record<string, unknown>).path;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** The body of an upload. */
  readonly body?: Blob;
}

/** @throws VivError as the API says it; unavailable where the host does not answer */
export async function call<I extends Id>(id: I, input: Input<I>, { signal, body }: CallOptions = {}): Promise<Output<I>> {
  const operation = operationOf(id);
  const { method, path, rest } = route(operation as unknown as Operation, input as Record<string, unknown>);
  const sends = method !== 'GET' && method !== 'DELETE';
  const type = body ? 'application/octet-stream' : 'application/json';
  const answer = await fetch(path, {
    method,
    credentials: 'same-origin',
    cache: 'no-store',
    ...(sends ? { headers: { 'content-type': type }, body: body ?? JSON.stringify(rest ?? {}) } : {}),
    ...(signal ? { signal } : {}),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new VivError('unavailable', 'the host does not answer; check that its daemon runs', { cause: error });
  });
  if (!answer.ok) throw await errorOf(answer, id);
  const text = await answer.text();
  return (text === '' ? undefined : JSON.parse(text)) as Output<I>;
}

/** A refusal for want of a session opens the sign-in dialog, except while signing in. */
async function errorOf(answer: Response, id: string): Promise<VivError> {
  const body = (await answer.json().catch(() => ({ code: 'internal', message: `the host answered ${answer.status}` }))) as ErrorBody;
  const error = VivError.fromBody(body);
  if (error.code === 'unauthenticated' && id !== 'session.create' && id !== 'session.redeem') expire();
  return error;
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
