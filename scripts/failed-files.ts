// A reporter of node's test runner: the files in which a test has failed, one line each. `./check` runs these once more.

import { relative } from 'node:path';
import type { EventData } from 'node:test';

type Event = { type: string; data: Partial<EventData.TestFail> };

// biome-ignore lint/style/noDefaultExport: it is what node’s test runner takes
export default async function* failedFiles(events: AsyncIterable<Event>): AsyncGenerator<string> {
  const told = new Set<string>();
  for await (const { type, data } of events) {
    const file = data.file ?? data.name;
    if (type !== 'test:fail' || file === undefined || told.has(file)) continue;
    told.add(file);
    yield `${relative(process.cwd(), file)}\n`;
  }
}
