// Commits numbers for ever and tells each one it was told is durable; the test kills it.
import { writeSync } from 'node:fs';
import { openSqliteStore } from '../../src/store/sqlite.ts';

const store = await openSqliteStore(process.argv[2] as string);
for (let number = 1; ; number++) {
  await store.commit({ puts: [{ key: `n/${String(number).padStart(8, '0')}`, value: number }] });
  writeSync(1, `${number}\n`);
}
