// Builds the web console (web/) and puts a Brotli copy beside each of its files, so that the daemon compresses nothing.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const root = dirname(import.meta.dirname);

/** @param outdir put in place only when the build has succeeded, dated by its start: what was changed meanwhile is newer */
export function buildConsole(outdir: string): void {
  const startedAt = new Date();
  const fresh = `${outdir}.${process.pid}`;
  try {
    execFileSync(process.execPath, [join(root, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'warn', join(root, 'web')], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, VIV_CONSOLE_OUT: fresh, NODE_NO_WARNINGS: '1' },
    });
    for (const name of readdirSync(fresh, { recursive: true, encoding: 'utf8' })) {
      if (!/\.(js|css|svg)$/.test(name)) continue;
      const file = join(fresh, name);
      const bytes = readFileSync(file);
      const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = constants;
      writeFileSync(
        `${file}.br`,
        brotliCompressSync(bytes, { params: { [BROTLI_PARAM_QUALITY]: 11, [BROTLI_PARAM_SIZE_HINT]: bytes.length } }),
      );
    }
    utimesSync(join(fresh, 'index.html'), startedAt, startedAt);
    rmSync(outdir, { recursive: true, force: true });
    renameSync(fresh, outdir);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
