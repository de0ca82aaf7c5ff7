// Builds what is run and what is published.
//   node scripts/build.ts            dist/: compiled modules with declarations, the command and the daemon bundled, the web console, the C programs
//   node scripts/build.ts --cli      .build/viv/: the command and the daemon bundled for this checkout (./viv does it when a source is newer)
//   node scripts/build.ts --console  .build/console/: the web console for this checkout (./viv web does it when a source is newer)
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundleCommand, bundleDaemon, publish } from './bundle.ts';
import { buildConsole } from './console.ts';

const root = dirname(import.meta.dirname);
const startedAt = new Date();

/** Throws when anything does not type-check: nothing half right is published. */
function compile(): void {
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')], {
    stdio: 'inherit',
    cwd: root,
  });
}

/** dist/native/<arch>/: the C programs that native/build.sh has built. */
function copyNative(dist: string): void {
  const built = join(root, '.build/native');
  if (existsSync(built)) cpSync(built, join(dist, 'native'), { recursive: true });
  else process.stderr.write('no C program is built (.build/native is missing), so the package will not contain any\n');
}

if (process.argv.includes('--cli')) {
  const outdir = join(root, '.build/viv');
  publish([...(await bundleDaemon(outdir)), ...(await bundleCommand(outdir))], startedAt);
} else if (process.argv.includes('--console')) {
  buildConsole(join(root, '.build/console'));
} else {
  const dist = join(root, 'dist');
  rmSync(dist, { recursive: true, force: true });
  compile();
  publish([...(await bundleDaemon(dist)), ...(await bundleCommand(join(dist, 'bin')))], startedAt);
  buildConsole(join(dist, 'console'));
  copyNative(dist);
}
