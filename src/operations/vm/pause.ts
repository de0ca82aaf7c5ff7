// `vm.pause`: stops a VM’s CPUs; its memory stays.
import { pause } from '../../vm/lifecycle/pause.ts';
import { verb } from './verb.ts';

export const handler = verb('pause', pause);
