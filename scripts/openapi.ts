// Writes openapi.json from the table of operations.
import { writeFileSync } from 'node:fs';
import { openapi } from '../src/contract/openapi.ts';
import { version } from '../src/version.ts';

writeFileSync(new URL('../openapi.json', import.meta.url), `${JSON.stringify(openapi(version), null, 2)}\n`);
