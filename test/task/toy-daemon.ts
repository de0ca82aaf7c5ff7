// A process that runs the toy operation and may be killed by a fault on its way.
import { join } from 'node:path';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { faultsFrom } from '../../src/task/fault.ts';
import { call, toy, toyTasks } from './toy.ts';

const [folder, fails] = process.argv.slice(2) as [string, string | undefined];
const store = await openSqliteStore(join(folder, 'state.db'));
const tasks = toyTasks(store, { 'toy.make': toy }, { faults: faultsFrom(process.env) });
const { done } = await tasks.start({ id: 'toy.make' }, { folder, ...(fails ? { fails } : {}) }, call);
await done.catch(() => {});
await store.close();
