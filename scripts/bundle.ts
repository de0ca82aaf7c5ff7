// Bundles of the command and the daemon: start-up is mostly finding, reading and compiling modules.
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type BuildOptions, build, type OutputFile, type Plugin } from 'esbuild';
import { plainContract } from './plain-contract.ts';

const root = dirname(import.meta.dirname);
const dayMs = 24 * 60 * 60 * 1000;

const common = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  external: ['koffi', '@lydell/node-pty', 'bufferutil', 'utf-8-validate'],
  // Packages in CommonJS ask for Node's own modules with require.
  banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  legalComments: 'none',
  write: false,
} as const satisfies BuildOptions;

/** The command: `viv.js`, `contract.js` with the schemas, and one file per lazily loaded part. */
export async function bundleCommand(outdir: string): Promise<OutputFile[]> {
  const { outputFiles } = await build({
    ...common,
    entryPoints: { viv: join(root, 'src/cli/main.ts'), contract: join(root, 'src/contract/index.ts') },
    outdir,
    splitting: true,
    chunkNames: 'chunk-[hash]',
    minifySyntax: true,
    minifyWhitespace: true,
    plugins: [plainContract],
  });
  return outputFiles;
}

/** zod's messages in 50 languages, of which one is used. */
const oneLanguage: Plugin = {
  name: 'one-language',
  setup({ onLoad }) {
    onLoad({ filter: /[/]zod[/]v4[/]locales[/]index\.js$/ }, () => ({ contents: "export { default as en } from './en.js';" }));
  },
};

/**
 * The daemon in one file, in whose stack traces functions have their names. It is in memory for as long as the daemon runs; with
 * comments in it that are not ASCII, twice (V8 keeps such a source in two bytes a character).
 */
export async function bundleDaemon(outdir: string): Promise<OutputFile[]> {
  const { outputFiles } = await build({
    ...common,
    entryPoints: { daemon: join(root, 'src/daemon.ts') },
    outdir,
    minifyWhitespace: true,
    lineLimit: 140,
    plugins: [oneLanguage],
  });
  return outputFiles;
}

/**
 * Puts the files in place one by one, `viv.js` last, all dated `startedAt`: what was changed during the build is newer.
 * Chunks are named by their content and stay for a day: a command that is running may still load one.
 */
export function publish(files: readonly OutputFile[], startedAt: Date): void {
  const ordered = [...files].sort((a, b) => Number(basename(a.path) === 'viv.js') - Number(basename(b.path) === 'viv.js'));
  for (const file of ordered) {
    mkdirSync(dirname(file.path), { recursive: true });
    const fresh = `${file.path}.${process.pid}`;
    writeFileSync(fresh, file.contents, { mode: basename(file.path) === 'viv.js' ? 0o755 : 0o644 });
    utimesSync(fresh, startedAt, startedAt);
    renameSync(fresh, file.path);
  }
  for (const outdir of new Set(ordered.map((file) => dirname(file.path)))) {
    for (const name of readdirSync(outdir)) {
      if (name.startsWith('chunk-') && Date.now() - statSync(join(outdir, name)).mtimeMs > dayMs)
        rmSync(join(outdir, name), { force: true });
    }
  }
}
