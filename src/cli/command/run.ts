// `viv run IMAGE [NAME] [-- CMD ARG...]`: a VM made and started; with a command, its answer and exit code.

import { VivError } from '../../contract/errors.ts';
import { operations } from '../../contract/index.ts';
import type { Vm } from '../../contract/vm-state.ts';
import type { Client } from '../../sdk/client.ts';
import type { Command } from '../command.ts';
import { asJson, type Context } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { pullMissing, sayNetwork, vmFlags, vmInput } from '../new-vm.ts';
import { checkInput } from '../parse/check-input.ts';
import { perform } from '../perform.ts';
import { describeProblem, isAbort } from '../problem.ts';
import { clean } from '../render/text.ts';
import { attach, needTerminal } from '../terminal/attach.ts';

export const command: Command = {
  ...shapeOf(operations.vm.run),
  flags: [
    ...vmFlags(operations.vm.run).map((flag) =>
      flag.field === 'removeOnStop' ? { ...flag, help: 'Remove it when it stops, or when the command has ended' } : flag,
    ),
    { name: 'no-wait', field: 'noWait', kind: 'boolean', help: 'Do not wait until its guest is ready' },
    { name: 'tty', field: 'tty', kind: 'boolean', short: 't', help: 'Run the command on a terminal' },
  ],
  rest: {
    label: 'COMMAND ARG...',
    required: false,
    help: 'Command to run in it when it is ready; viv ends with its exit code.',
  },
  notes: ['An image of the catalog that is not on this host is downloaded or built first.'],
  examples: ['viv run tiny', 'viv run tiny --rm -- uname -a', 'viv run debian:12 web --cpus 2 --memory 1GiB --disk 10GiB --user me'],
  async run(invocation, context) {
    const { rest } = invocation;
    const { tty, ...flags } = invocation.flags;
    const json = flags['json'] === true;
    if (rest !== null && rest.length === 0) throw new VivError('invalid', 'no command follows --; write one, or leave -- out');
    if (rest !== null && json)
      throw new VivError('invalid', '--json and a command exclude each other, because both write to stdout; leave one out');
    if (tty === true && rest === null) throw new VivError('invalid', '--tty needs a command after --; for a login shell use viv shell');
    if (tty === true) needTerminal(context);
    const input = await vmInput({ ...invocation, flags }, context);
    checkInput(operations.vm.run, input);
    const client = await context.client();
    await pullMissing(client, context, input.image);
    const vm = await perform(context, `run ${input.name ?? input.image}`, (options) => client.vm.run(input, options));
    await sayNetwork(client, context, input, vm);
    const waits = flags['noWait'] !== true;
    if (rest !== null)
      return await runCommand(client, context, vm, { command: rest, tty: tty === true, waits, remove: input.removeOnStop === true });
    let shown = vm;
    let problem: unknown;
    if (waits) {
      try {
        shown = await waitUntilReady(client, context, vm);
      } catch (error) {
        problem = error;
      }
    }
    await context.print(json ? asJson(shown) : clean(vm.name));
    if (problem !== undefined) {
      if (isAbort(problem)) context.screen.say(`${clean(vm.name)} continues to start`);
      throw problem;
    }
    if (context.stderr.isTTY === true && !json) {
      context.screen.say(
        shown.agent.connected
          ? `it answers: viv shell ${clean(vm.name)}, viv exec ${clean(vm.name)} -- CMD`
          : `it starts: viv console ${clean(vm.name)}, viv view ${clean(vm.name)}`,
      );
    }
    return 0;
  },
};

async function waitUntilReady(client: Client, context: Context, vm: Vm): Promise<Vm> {
  const key = `wait ${vm.id}`;
  const began = performance.now();
  const tick = () =>
    context.screen.show(key, `${vm.name}: starting, waiting until it is ready (${Math.floor((performance.now() - began) / 1000)}s)`);
  tick();
  const timer = setInterval(tick, 1000);
  try {
    return await waitAcrossDaemons(client, context, vm);
  } finally {
    clearInterval(timer);
    context.screen.settle(key);
  }
}

/** How often a daemon may end before its VM is ready. */
const mostDaemons = 5;

/** A VM outlives the daemon: when that ends, the waiting continues with the next one. */
async function waitAcrossDaemons(client: Client, context: Context, vm: Vm): Promise<Vm> {
  const { signal } = context.interrupts;
  for (let daemons = 1; ; daemons++) {
    try {
      return await client.vm.wait({ vm: vm.id, for: 'ready' }, { signal });
    } catch (error) {
      const isGone = error instanceof VivError && error.code === 'unavailable';
      if (!isGone || signal.aborted || daemons === mostDaemons) throw error;
      client = await context.reconnect();
    }
  }
}

async function runCommand(
  client: Client,
  context: Context,
  vm: Vm,
  { command, tty, waits, remove }: { command: readonly string[]; tty: boolean; waits: boolean; remove: boolean },
): Promise<number> {
  try {
    // What the command needs is there: name resolution, and the size that the disk was given.
    if (waits) await waitUntilReady(client, context, vm);
    return await attach(client, context, { vm: vm.id, name: clean(vm.name), command, tty, stdin: true });
  } finally {
    if (remove) {
      // It may have gone by itself when the command stopped the VM.
      await client.vm.remove({ vm: vm.id, force: true }).catch((error) => {
        if (!(error instanceof VivError && error.code === 'not_found')) context.screen.say(describeProblem(error, context.env));
      });
    }
  }
}
