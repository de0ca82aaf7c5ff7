// `vm.reset`: the reset button.
import { reset } from '../../machine/stop.ts';
import type { HandlerOf } from '../handler.ts';
import { pointBefore } from './point-before.ts';
import { verb } from './verb.ts';

const { before, after } = pointBefore({ what: 'reset', processStays: true });
const plain = verb('reset', reset);

export const handler: HandlerOf<'vm.reset'> = { ...plain, steps: [...before, ...plain.steps, ...after] };
