// Writes docs/reference/ from the contract and the commands: `npm run docs`. A test compares the files with what this makes.
import { writeFile } from 'node:fs/promises';
import { reference } from '../src/cli/reference.ts';
import { apiReference } from './api-reference.ts';

const folder = new URL('../docs/reference/', import.meta.url);

await writeFile(new URL('cli.md', folder), await reference());
await writeFile(new URL('api.md', folder), apiReference());
