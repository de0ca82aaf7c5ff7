// The published package, as somebody else's project sees it: packed, installed, compiled against its declarations, run.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { toy, toyExec, vm } from '../api/toy.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const npm = join(root, '.node/lib/node_modules/npm/bin/npm-cli.js');

const sample = `
import { connect, operations, type VmInfo, VivError } from 'vivarium';
import { operationList } from 'vivarium/contract';

const viv = await connect({ socket: process.argv[2] as string });
const vm = await viv.run('tiny', { name: 'web', cpus: 2 });
const { stdout, exitCode } = await vm.exec(['echo', 'packed']);
const listed: VmInfo[] = await viv.call(operations.vm.list, {});
// @ts-expect-error a field that vm.run does not have
const wrong: Parameters<typeof viv.vm.run>[0] = { image: 'tiny', colour: 'red' };
void wrong;
const problem: string = await viv.vm.show({ vm: 'none' }).then(() => 'none', (error: unknown) => (error instanceof VivError ? error.code : 'other'));
console.log(JSON.stringify({ name: vm.name, stdout, exitCode, listed: listed.length, problem, operations: operationList.length > 30 }));
viv.close();
`;

test('the packed package installs, its declarations compile, and its SDK talks to a daemon', { timeout: 900_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-package-'));
  const options = { cwd: root, maxBuffer: 64 * 1024 * 1024, timeout: 600_000 };
  const npmCommand = await npmArguments();
  try {
    const packed = await run(
      process.execPath,
      [...npmCommand, 'pack', '--json', '--ignore-scripts', '--pack-destination', folder],
      await built(options),
    );
    const listed = JSON.parse(packed.stdout) as
      | { filename: string; files: { path: string }[] }[]
      | Record<string, { filename: string; files: { path: string }[] }>;
    const [tarball] = Object.values(listed);
    assert.ok(tarball);
    const files = tarball.files.map((file) => file.path);
    for (const desired of ['dist/sdk/index.js', 'dist/sdk/index.d.ts', 'dist/bin/viv.js', 'dist/daemon.js', 'openapi.json'])
      assert.ok(files.includes(desired), desired);
    assert.ok(!files.some((file) => file.startsWith('src/') || file.startsWith('test/') || file.includes('.build')));

    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'sample', private: true, type: 'module' }));
    await run(
      process.execPath,
      [...npmCommand, 'install', '--prefer-offline', '--no-audit', '--no-fund', '--silent', join(folder, tarball.filename)],
      { ...options, cwd: folder },
    );
    await mkdir(join(folder, 'node_modules/@types'), { recursive: true });
    await symlink(join(root, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'));
    await symlink(join(root, 'node_modules/undici-types'), join(folder, 'node_modules/undici-types'));
    await writeFile(join(folder, 'sample.ts'), sample);
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: { target: 'es2024', lib: ['es2024', 'esnext.disposable'], module: 'nodenext', strict: true, types: ['node'] },
        files: ['sample.ts'],
      }),
    );
    await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], { ...options, cwd: folder }).catch((error) =>
      assert.fail(`the sample does not compile:\n${error.stdout}`),
    );
    await using api = await toy({
      'vm.run': async (input: { name: string }) => vm(input.name),
      'vm.list': async () => [vm('web')],
      'vm.exec': toyExec,
    });
    const { stdout } = await run(process.execPath, [join(folder, 'sample.js'), api.socket], { ...options, cwd: folder });
    assert.deepEqual(JSON.parse(stdout), {
      name: 'web',
      stdout: 'packed\n',
      exitCode: 0,
      listed: 1,
      problem: 'unavailable',
      operations: true,
    });
    const version = await run(join(folder, 'node_modules/.bin/viv'), ['--version'], {
      ...options,
      cwd: folder,
      env: { ...process.env, PATH: `${join(process.execPath, '..')}:${process.env['PATH']}` },
    });
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** Builds dist/ first; returns the options for the next program. */
async function built<T extends object>(options: T): Promise<T> {
  await run(process.execPath, [join(root, 'scripts/build.ts')], options).catch((error) =>
    assert.fail(`npm run build failed:\n${error.stdout}${error.stderr}`),
  );
  return options;
}

/** npm that belongs to this Node, or the one in PATH. */
async function npmArguments(): Promise<string[]> {
  const { realpath } = await import('node:fs/promises');
  for (const place of [npm, ...(process.env['PATH'] ?? '').split(':').map((entry) => join(entry, 'npm'))]) {
    const found = await realpath(place).catch(() => undefined);
    if (found) return [found];
  }
  return assert.fail('npm is not in PATH');
}
