// What the last daemon left in the journal: ended tasks, and those to continue, in order of arrival.
import type { Store } from '../store/store.ts';
import { type TaskRecord, taskPrefix } from './journal.ts';

const pageSize = 200;

export async function readJournal(store: Store): Promise<{ ended: TaskRecord[]; unfinished: TaskRecord[] }> {
  const ended: TaskRecord[] = [];
  const unfinished: TaskRecord[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await store.list(taskPrefix, { limit: pageSize, ...(after === undefined ? {} : { after }) });
    for (const { value } of page) {
      const record = value as TaskRecord;
      (record.phase === 'ended' ? ended : unfinished).push(record);
    }
    after = page.at(-1)?.key;
    if (page.length < pageSize) break;
  }
  unfinished.sort((a, b) => a.order - b.order);
  return { ended, unfinished };
}
