// `vm.resume`: continues a paused VM.
import { resume } from '../../vm/lifecycle/pause.ts';
import { verb } from './verb.ts';

export const handler = verb('resume', resume);
