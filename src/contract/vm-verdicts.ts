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
const notResponding = { deny: 'its QEMU does not answer. Wait until it does, or end it with stop --force' };

/** `remove --force` and `stop --force` are decided in vm/decide.ts. */
export const verdicts: Record<Verb, Record<VmState, Ruling>> = {
  start: {
    stopped: 'accept',
    running: 'ignore',
    paused: { deny: 'it is paused; resume it instead' },
    suspended: 'accept',
    broken: 'accept',
    'not-responding': notResponding,
  },
  stop: { stopped: 'ignore', running: 'accept', paused: 'accept', suspended: 'accept', broken: 'accept', 'not-responding': 'accept' },
  restart: {
    stopped: 'accept',
    running: 'accept',
    paused: 'accept',
    suspended: { deny: 'it is suspended; start it instead' },
    broken: 'accept',
    'not-responding': 'accept',
  },
  reset: { stopped: notRunning, running: 'accept', paused: 'accept', suspended: notRunning, broken, 'not-responding': notResponding },
  pause: { stopped: notRunning, running: 'accept', paused: 'ignore', suspended: notRunning, broken, 'not-responding': notResponding },
  resume: {
    stopped: notRunning,
    running: 'ignore',
    paused: 'accept',
    suspended: { deny: 'it is suspended; start it instead' },
    broken,
    'not-responding': notResponding,
  },
  suspend: { stopped: notRunning, running: 'accept', paused: 'accept', suspended: 'ignore', broken, 'not-responding': notResponding },
  remove: {
    stopped: 'accept',
    running: { deny: 'it is running; stop it first or use --force' },
    paused: { deny: 'it is paused; stop it first or use --force' },
    suspended: 'accept',
    broken: 'accept',
    'not-responding': { deny: 'its QEMU does not answer; use --force' },
  },
  set: { stopped: 'accept', running: 'accept', paused: 'accept', suspended: 'accept', broken: 'accept', 'not-responding': 'accept' },
  rename: { stopped: 'accept', running: 'accept', paused: 'accept', suspended: 'accept', broken: 'accept', 'not-responding': 'accept' },
  fork: { stopped: 'accept', running: 'accept', paused: 'accept', suspended: 'accept', broken, 'not-responding': notResponding },
  snapshot: { stopped: 'accept', running: 'accept', paused: 'accept', suspended: 'accept', broken, 'not-responding': notResponding },
  exec: {
    stopped: notRunning,
    running: 'accept',
    paused: { deny: 'it is paused; resume it first' },
    suspended: { deny: 'it is suspended; start it first' },
    broken,
    'not-responding': notResponding,
  },
  console: { stopped: notRunning, running: 'accept', paused: 'accept', suspended: notRunning, broken, 'not-responding': notResponding },
  view: { stopped: notRunning, running: 'accept', paused: 'accept', suspended: notRunning, broken, 'not-responding': notResponding },
};
