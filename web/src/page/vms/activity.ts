// What is being done to each VM now, from the tasks that run.
import { taskLimit } from '../../api/live.ts';
import { useRead } from '../../api/query.ts';

/** By the VM's name: the operation, such as vm.start. */
export function useActivities(): ReadonlyMap<string, string> {
  const { data } = useRead('task.list', taskLimit);
  return new Map(
    data?.flatMap(({ state, target, operation }) => (state === 'running' && target !== null ? [[target, operation] as const] : [])),
  );
}
