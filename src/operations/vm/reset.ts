// `vm.reset`: the reset button.
import { reset } from '../../machine/stop.ts';
import { verb } from './verb.ts';

export const handler = verb('reset', reset);
