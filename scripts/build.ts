// Builds what is run and what is published.
//   node scripts/build.ts         dist/: compiled modules with declarations, the command bundled, the guests' agents
//   node scripts/build.ts --cli   .build/viv/: the command bundled for this checkout (./viv does it when a source is newer)
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';

const root = dirname(import.meta.dirname);
const dayMs = 24 * 60 * 60 * 1000;

/** The command in one file per lazily loaded part: start-up is mostly reading and resolving modules. */
async function bundleCli(outdir: string): Promise<void> {
  const startedAt = new Date();
  const result = await build({
    entryPoints: { viv: join(root, 'src/cli/main.ts') },
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    chunkNames: 'chunk-[hash]',
    external: ['koffi', '@lydell/node-pty', 'bufferutil', 'utf-8-validate'],
    // Packages in CommonJS ask for Node's own modules with require.
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
    legalComments: 'none',
    write: false,
  });
  mkdirSync(outdir, { recursive: true });
  // Chunks are named by their content and stay for a while: a command that is running may still load one. The entry comes last.
  const files = result.outputFiles.sort((a, b) => Number(basename(a.path) === 'viv.js') - Number(basename(b.path) === 'viv.js'));
  for (const file of files) {
    const entry = basename(file.path) === 'viv.js';
    const fresh = `${file.path}.${process.pid}`;
    writeFileSync(fresh, file.contents, { mode: entry ? 0o755 : 0o644 });
    utimesSync(fresh, startedAt, startedAt); // what was changed during the build is newer
    renameSync(fresh, file.path);
  }
  for (const name of readdirSync(outdir)) {
    if (name.startsWith('chunk-') && Date.now() - statSync(join(outdir, name)).mtimeMs > dayMs) rmSync(join(outdir, name), { force: true });
  }
}

/** Throws when anything does not type-check: nothing half right is published. */
function compile(): void {
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')], {
    stdio: 'inherit',
    cwd: root,
  });
}

/** dist/guest/<arch>/: the agents built by guest/. */
function copyGuests(dist: string): void {
  const built = join(root, '.build/guest');
  if (!existsSync(built)) {
    process.stderr.write('No guest agent is built (.build/guest is absent); the package will not contain one\n');
    return;
  }
  for (const arch of readdirSync(built)) {
    const agent = join(built, arch, 'vivarium-agent');
    if (existsSync(agent)) cpSync(agent, join(dist, 'guest', arch, 'vivarium-agent'));
  }
}

if (process.argv.includes('--cli')) await bundleCli(join(root, '.build/viv'));
else {
  const dist = join(root, 'dist');
  rmSync(dist, { recursive: true, force: true });
  compile();
  await bundleCli(join(dist, 'bin'));
  copyGuests(dist);
}
