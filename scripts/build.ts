// Builds what is run and what is published.
//   node scripts/build.ts         dist/: compiled modules with declarations, the command and the daemon bundled, the guests' agents
//   node scripts/build.ts --cli   .build/viv/: the command and the daemon bundled for this checkout (./viv does it when a source is newer)
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundleCommand, bundleDaemon, publish } from './bundle.ts';

const root = dirname(import.meta.dirname);
const startedAt = new Date();

/** Throws when anything does not type-check: nothing half right is published. */
function compile(): void {
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')], {
    stdio: 'inherit',
    cwd: root,
  });
}

/** dist/guest/<arch>/, dist/memory/<arch>/, dist/tap/<arch>/ and dist/forward/<arch>/: what scripts/build-guest.sh has built. */
function copyGuests(dist: string): void {
  for (const name of ['memory', 'tap', 'forward']) {
    const folder = join(root, '.build', name);
    if (existsSync(folder)) cpSync(folder, join(dist, name), { recursive: true });
  }
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

if (process.argv.includes('--cli')) {
  const outdir = join(root, '.build/viv');
  publish([...(await bundleDaemon(outdir)), ...(await bundleCommand(outdir))], startedAt);
} else {
  const dist = join(root, 'dist');
  rmSync(dist, { recursive: true, force: true });
  compile();
  publish([...(await bundleDaemon(dist)), ...(await bundleCommand(join(dist, 'bin')))], startedAt);
  copyGuests(dist);
}
