// `nic.list`: the NICs of a VM.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'nic.list'> = async ({ vm }, { services: { vms } }) => vms.find(vm).view(null).nics;
