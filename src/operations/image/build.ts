// image.build: a throwaway VM of the base is set up as the recipe says, forgets who it was, and its disk becomes an image.
// The VM is never entered: nobody sees it, and it goes with the task however that ends.
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { pack } from 'tar-stream';
import { VivError } from '../../contract/errors.ts';
import type { Recipe } from '../../contract/image.ts';
import { VmOptions } from '../../contract/vm-options.ts';
import { newId } from '../../host/id.ts';
import { stagingKey } from '../../image/staging.ts';
import { convertDisk, diskInfo } from '../../storage/disk.ts';
import { askGuest, endNow } from '../../vm/lifecycle/stop.ts';
import type { HandlerOf, Step } from '../handler.ts';
import { type Creating, createSteps, prepareCreate } from '../vm/create-steps.ts';
import { removeSteps } from '../vm/remove-steps.ts';
import { startSteps } from '../vm/start-steps.ts';
import { forgetIdentity, installPackages, runCommandOnce, runScript } from './build-steps.ts';
import { emptyStaging, type PublishState, publishStep, storedImage } from './publish.ts';

interface State {
  /** The image's name, as PublishState wants it. */
  name: string;
  recipe: Recipe;
  /** The throwaway VM. */
  vm: Creating;
  timeoutMs: number;
  staging: string;
  made?: NonNullable<PublishState['made']>;
  digest?: string;
}

const setUp: Step<State> = {
  name: 'set it up inside',
  async run({ recipe, vm, timeoutMs, name }, { services, signal: cancelled, progress, log }) {
    const late = new VivError(
      'timeout',
      `building ${name} took longer than ${Math.round(timeoutMs / 1000)} s; give it more with --timeout`,
    );
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(late), timeoutMs);
    const signal = AbortSignal.any([cancelled, deadline.signal]);
    try {
      progress({ message: `waiting for ${recipe.base} to boot` });
      const live = services.vms.get(vm.id).alive();
      const agent = await (recipe.files.length > 0 ? live.waitForOwnAgent(timeoutMs, signal) : live.waitForAgent(timeoutMs, signal));
      const run = (doing: string, script: string, args: readonly string[] = []) => {
        progress({ message: doing });
        return runScript({ agent, doing, script, args, signal, log });
      };
      await run(`install ${recipe.packages.join(', ') || 'no packages'}`, installPackages, recipe.packages);
      if (recipe.files.length > 0) {
        progress({ message: 'copy files in' });
        await agent.copyIn('/', tarOf(recipe.files), signal);
      }
      for (const [index, command] of recipe.commands.entries())
        await run(`run \`${command.slice(0, 80)}\``, runCommandOnce, [String(index), command]);
      await run('take its identity away', forgetIdentity);
    } catch (error) {
      if (deadline.signal.aborted && !cancelled.aborted) throw late;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  },
};

const shutDown: Step<State> = {
  name: 'shut it down',
  async run({ vm: { id } }, { services, signal, progress, log }) {
    const vm = services.vms.get(id);
    progress({ message: 'waiting for it to shut down' });
    await vm.update(() => ({ desired: 'stopped' }));
    if (vm.live && !(await askGuest(vm, 120_000, signal)))
      log('it did not shut down within 120 s; what it wrote has been flushed, and its process is ended');
    signal.throwIfAborted();
    await endNow(vm, services);
  },
};

const flatten: Step<State> = {
  name: 'copy its disk',
  async run({ recipe, vm, staging }, { services, signal, progress }) {
    const base = await services.images.find(vm.record.image.digest ?? vm.record.image.name);
    const disk = vm.record.disks.find(({ kind }) => kind === 'root');
    if (!disk) throw new VivError('internal', `the VM of ${recipe.base} has no root disk`);
    const folder = join(staging, 'made');
    await rm(staging, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const onProgress = (percent: number) => progress({ message: 'copying its disk', done: percent, total: 100, unit: 'steps' });
    await convertDisk(disk.file, 'qcow2', join(folder, 'disk.qcow2'), 'qcow2', { signal, onProgress });
    if (base.kernelFiles) {
      await copyFile(base.kernelFiles.file, join(folder, 'vmlinuz'));
      await copyFile(base.kernelFiles.initrd, join(folder, 'initrd'));
    }
    const { virtualBytes } = await diskInfo(join(folder, 'disk.qcow2'), 'qcow2');
    const kernel = base.kernelFiles && { file: 'vmlinuz', initrd: 'initrd', commandLine: base.kernelFiles.commandLine };
    const minMemoryBytes = recipe.minMemoryBytes ?? base.minMemoryBytes;
    const description = {
      kind: base.kind,
      arch: base.arch,
      virtualBytes,
      source: `built from ${recipe.base}`,
      disk: 'disk.qcow2',
      iso: null,
      kernel,
      minMemoryBytes,
      firmware: base.firmware,
      ready: base.ready,
      defaults: { ...base.defaults, memoryBytes: Math.max(base.defaults.memoryBytes, minMemoryBytes ?? 0) },
    };
    return { made: { folder, description } };
  },
  undo: emptyStaging,
};

/** A step on a VM, as a step of this task. */
function onVm(step: Step<Creating>): Step<State> {
  const { undo } = step;
  return {
    name: step.name,
    ...(step.pointOfNoReturn ? { pointOfNoReturn: true } : {}),
    run: async ({ vm }, context) => {
      const change = await step.run(vm, context);
      return change ? { vm: { ...vm, ...change } } : undefined;
    },
    ...(undo ? { undo: ({ vm }: State, context: Parameters<typeof undo>[1]) => undo(vm, context) } : {}),
  };
}

/** All but the last step of `create`, which would enter the VM. */
const makeHidden = createSteps.filter(({ name }) => name !== 'enter it');

export const handler: HandlerOf<'image.build'> = {
  async prepare({ recipe, timeoutMs }, { services }): Promise<State> {
    const base = await services.images.find(recipe.base);
    if (base.diskFile === null)
      throw new VivError('invalid', `${recipe.base} has no disk to build on; the base of a recipe is a system such as debian:12`);
    const { name, base: image, diskBytes } = recipe;
    const options = VmOptions.parse({ image, name: `build-${newId().slice(0, 10)}`, ...(diskBytes === undefined ? {} : { diskBytes }) });
    const vm = await prepareCreate(options, services);
    return { name, recipe, vm, timeoutMs, staging: join(services.paths.staging, stagingKey('build', name, vm.id)) };
  },
  target: (state: State) => state.name,
  queue: (state: State) => `image/${state.name}`,
  steps: [
    ...makeHidden.map(onVm),
    ...(startSteps as readonly Step<Creating>[]).map(onVm),
    setUp,
    shutDown,
    flatten,
    publishStep as Step<State>,
    ...(removeSteps as readonly Step<Creating>[]).map(onVm),
  ],
  output: storedImage,
};

/** The recipe's files as a tar stream, root's own. */
function tarOf(files: Recipe['files']): Readable {
  const tar = pack();
  for (const { path, content, mode } of files)
    tar.entry({ name: path.replace(/^\/+/, ''), mode: Number.parseInt(mode, 8), uid: 0, gid: 0 }, content);
  tar.finalize();
  return tar.pipe(new PassThrough());
}
