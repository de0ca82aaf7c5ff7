// `viv daemon`: the daemon in the foreground, as a service manager runs it. Signals are passed on; it ends with the daemon's code (75 where another daemon serves the state directory).
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { stateDirectoryTakenExitCode } from '../../contract/ending.ts';
import { daemonArguments, daemonEnvironment } from '../../sdk/start-daemon.ts';
import type { Command } from '../command.ts';

export const command: Command = {
  words: 'daemon',
  section: 'Host',
  summary: 'Run the daemon in the foreground',
  args: [],
  flags: [],
  async run(_invocation, context) {
    // In a session of its own, so that Ctrl-C reaches it once, from here, and not from the terminal as well.
    const child = spawn(process.execPath, daemonArguments(), {
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
      env: { ...daemonEnvironment, ...context.env },
    });
    const forget = context.interrupts.handle((signal) => child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal));
    try {
      return await new Promise<number>((resolve, reject) => {
        child.once('error', reject);
        child.once('exit', (code, signal) => {
          if (code === null) resolve(128 + (signal ? constants.signals[signal] : 1));
          else resolve(code === stateDirectoryTakenExitCode ? 1 : code);
        });
      });
    } finally {
      forget();
    }
  },
};
