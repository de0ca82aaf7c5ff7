// `viv view NAME`: a VM's screen in a viewer of this desktop; without one, how to see it.
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';

/** Viewers that take a Unix socket, best first, and the arguments they take it by. */
const viewers: readonly (readonly [string, (socket: string) => string[]])[] = [
  ['remote-viewer', (socket) => [`vnc+unix://${socket}`]],
  ['gvncviewer', (socket) => [socket]],
  ['vncviewer', (socket) => [socket]],
];

/** The viewer to use and its arguments; null where there is no desktop or none is installed. */
export function chooseViewer(
  env: Readonly<Record<string, string | undefined>>,
  socket: string,
): { program: string; args: string[] } | null {
  if (!env['DISPLAY'] && !env['WAYLAND_DISPLAY']) return null;
  for (const [name, argsFor] of viewers) {
    for (const folder of (env['PATH'] ?? '').split(delimiter)) {
      if (folder === '') continue;
      try {
        accessSync(join(folder, name), constants.X_OK);
        return { program: join(folder, name), args: argsFor(socket) };
      } catch {
        // not here: the next folder
      }
    }
  }
  return null;
}

export const command: Command = {
  ...shapeOf(operations.vm.view),
  async run(invocation, context) {
    const input = { vm: one(invocation, 'vm') };
    checkInput(operations.vm.view, input);
    const client = await context.client();
    const place = await client.vm.view(input, { signal: context.interrupts.signal });
    if (invocation.flags['json'] === true) {
      await context.print(asJson(place));
      return 0;
    }
    const viewer = chooseViewer(context.env, place.socket);
    if (viewer === null) {
      await context.print(place.socket);
      context.screen.say(`this socket serves the screen by VNC; on a desktop with virt-viewer: remote-viewer vnc+unix://${place.socket}`);
      context.screen.say(`from another computer: ssh -L 5900:${place.socket} THIS-HOST, and a VNC viewer there on localhost:5900`);
      return 0;
    }
    await new Promise<void>((resolve, reject) => {
      const child = spawn(viewer.program, viewer.args, { stdio: 'ignore', detached: true });
      child.once('error', reject);
      child.once('spawn', () => {
        child.unref();
        resolve();
      });
    });
    return 0;
  },
};
