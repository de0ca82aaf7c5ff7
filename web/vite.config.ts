// Builds the console into .build/console, or where VIV_CONSOLE_OUT says. The table of operations is made from the contract at build time, so that the
// browser loads neither the schemas nor the library that checks them: the daemon checks.
import { dirname, join } from 'node:path';
import react from '@vitejs/plugin-react';
import type { Plugin } from 'vite';
import { plainOperations } from '../scripts/plain-contract.ts';

const root = dirname(import.meta.dirname);

/** `virtual:routes`: how each operation is called, for every page. `virtual:contract`: all that the contract says of it, for forms, loaded when one opens. */
function contract(): Plugin {
  const modules = ['virtual:routes', 'virtual:contract'];
  return {
    name: 'contract',
    resolveId: (id) => (modules.includes(id) ? `\0${id}` : undefined),
    async load(id) {
      if (!modules.includes(id.slice(1))) return undefined;
      const operations = Object.values(await plainOperations()).flatMap((noun) => Object.values(noun));
      const table =
        id === '\0virtual:routes'
          ? operations.map(({ id, method, path, transport, task, risk }) => [id, method, path, transport, task, risk])
          : operations.map(({ id, summary, permission, risk, cli, shape, task, transport }) => ({
              ...{ id, summary, permission, risk, shape, task, transport, words: cli?.words ?? null },
              ...{ args: cli?.args ?? [], flags: cli?.flags ?? {} },
            }));
      return `export default JSON.parse(${JSON.stringify(JSON.stringify(table))});`;
    },
  };
}

export default {
  root: import.meta.dirname,
  plugins: [react(), contract()],
  build: {
    outDir: process.env['VIV_CONSOLE_OUT'] ?? join(root, '.build/console'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1500,
  },
};
