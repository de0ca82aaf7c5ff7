// Which verb each state of a VM allows, and why not. The console greys out with it, vm/decide.ts enforces it.
import type { VmState } from './vm-state.ts';

export type Verb =
  | 'start'
  | 'stop'
  | 'restart'
  | 'reset'
  | 'pause'
  | 'resume'
  | 'suspend'
  | 'remove'
  | 'set'
  | 'rename'
  | 'fork'
  | 'snapshot'
  | 'exec'
  | 'console'
  | 'view';

/** accept: do it. ignore: it is so already. deny: the reason why not. */
type Ruling = 'accept' | 'ignore' | { readonly deny: string };

const notRunning = { deny: 'it is not running; start it first' };
const broken = { deny: 'it is broken; its reason says why' };

/** `remove --force` and `stop --force` are decided in vm/decide.ts. */
export const verdicts: Record<Verb, Record<VmState, Ruling>> = {
  start: {
    stopped: 'accept',
    running: 'ignore',
    paused: { deny: 'it is paused; resume it instead' },
    suspended: 'accept',
    broken: 'accept',
  },
  stop: { stopped: 'ignore', running: 'accept', paused: 'accept', suspended: 'accept', broken: 'accept' },
  restart: {
    stopped: 'accept',
    running: 'accept',
    paused: 'accept',
    suspended: { deny: 'it is suspended; start it instead' },
    broken: 'accept',
  },
  reset: { stopped: notRunning, running: 'accept', paused: 'accept', suspended: notRunning, broken },
  pause: { stopped: notRunning, running: 'accept', paused: 'ignore', suspended: notRunning, broken },
  resume: { stopped: notRunning, running: 'ignore', paused: 'accept', suspended: { deny: 'it is suspended; start it instead' }, broken },
  suspend: { stopped: notRunning, running: 'accept', paused: 'accept', suspended: 'ignore', broken },
  remove: {
    stopped: 'accept',
    running: { deny: 'it is running; stop it first or use --force' },
    paused: { deny: 'it is paused; stop it first or use --force' },
    suspended: 'accept',
    broken: 'accept',
  },
  set: { stopped: 'accept', running: 'accept', paused: 'accept', suspended: 'accept', broken: 'accept' },
  rename: { stopped: 'accept', running: 'accept', paused: 'accept', suspended: 'accept', broken: 'accept' },
  fork: { stopped: 'accept', running: 'accept', paused: 'accept', suspended: 'accept', broken },
  snapshot: { stopped: 'accept', running: 'accept', paused: 'accept', suspended: 'accept', broken },
  exec: {
    stopped: notRunning,
    running: 'accept',
    paused: { deny: 'it is paused; resume it first' },
    suspended: { deny: 'it is suspended; start it first' },
    broken,
  },
  console: { stopped: notRunning, running: 'accept', paused: 'accept', suspended: notRunning, broken },
  view: { stopped: notRunning, running: 'accept', paused: 'accept', suspended: notRunning, broken },
};
