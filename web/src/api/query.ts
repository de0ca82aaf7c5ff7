// Reading and changing through the query cache. A key is the operation's id and its input.
import { QueryClient, type UseQueryResult, useQuery } from '@tanstack/react-query';
import { VivError } from '../../../src/contract/errors.ts';
import { call } from './call.ts';
import type { Id, Input, Output } from './types.ts';

/** Worth asking again: the daemon restarts, or the network was away. */
const passing = (error: unknown) => error instanceof VivError && error.code === 'unavailable';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // The event stream says when something changed.
      staleTime: 60_000,
      retry: (count, error) => passing(error) && count < 5,
      retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 5000),
    },
  },
});

export const keyOf = <I extends Id>(id: I, input: Input<I>) => [id, input] as const;

export const queryOf = <I extends Id>(id: I, input: Input<I>) => ({
  queryKey: keyOf(id, input),
  queryFn: ({ signal }: { signal: AbortSignal }) => call(id, input, { signal }),
});

export function useRead<I extends Id>(id: I, input: Input<I>, options: { enabled?: boolean } = {}): UseQueryResult<Output<I>> {
  return useQuery({ ...queryOf(id, input), ...options });
}

/** Has every query about one of these nouns asked again, where it is on the screen. */
export function invalidate(nouns: ReadonlySet<string>): void {
  void queryClient.invalidateQueries({ predicate: ({ queryKey }) => nouns.has(String(queryKey[0]).split('.')[0] ?? '') });
}
