// `vm.reset`: the reset button.

import { reset } from '../../vm/lifecycle/pause.ts';
import type { HandlerOf } from '../handler.ts';
import { snapshotBefore } from './snapshot-before.ts';
import { verb } from './verb.ts';

const { before, after } = snapshotBefore({ what: 'reset', processStays: true });
const plain = verb('reset', reset);

export const handler: HandlerOf<'vm.reset'> = { ...plain, steps: [...before, ...plain.steps, ...after] };
