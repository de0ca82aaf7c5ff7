// Whether the user may do something, and why not: asked of the host, by the decision that the request itself would meet.
import { useQuery } from '@tanstack/react-query';
import { call } from './call.ts';
import { queryOf } from './query.ts';

export const useMe = () => useQuery({ ...queryOf('session.whoami', {}), staleTime: Number.POSITIVE_INFINITY, retry: false });

/** @param verb an operation, such as vm.create. @param object such as vm:web; none: the host. The reason against it, or undefined */
export function useReason(verb: string, object?: string): string | undefined {
  const me = useMe().data;
  const user = me?.user;
  const asked = { verb, ...(object === undefined ? {} : { object }) };
  const { data } = useQuery({
    queryKey: ['user.can', user, asked],
    queryFn: () => call('user.can', { user: user ?? '', ...asked }),
    enabled: typeof user === 'string',
    retry: false,
    staleTime: 300_000,
  });
  return data && !data.allowed ? (data.reason ?? data.permission) : undefined;
}
