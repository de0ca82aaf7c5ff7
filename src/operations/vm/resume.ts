// `vm.resume`: lets a paused VM go on.
import { resume } from '../../vm/lifecycle/pause.ts';
import { verb } from './verb.ts';

export const handler = verb('resume', resume);
