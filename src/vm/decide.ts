// Whether a verb is allowed in a VM's state. Pure: the table is the contract's, the rest is `force`.
import { VivError } from '../contract/errors.ts';
import type { VmState } from '../contract/vm-state.ts';
import { type Verb, verdicts } from '../contract/vm-verdicts.ts';

/** Verbs that are no English for what was asked: `exec` is `shell` and `cp` as well. */
const words: Partial<Record<Verb, string>> = { exec: 'reach into', snapshot: 'take a snapshot of', set: 'change' };

interface Decided {
  readonly name: string;
  readonly state: VmState;
  /** Why its record cannot be read. Default: it can. */
  readonly unreadable?: { readonly why: string } | null;
}

/** What a VM allows now. Nothing where its record cannot be read: only remove --force is possible then. Pure. */
export function rulingOf(verb: Verb, { state, unreadable }: Omit<Decided, 'name'>): (typeof verdicts)[Verb][VmState] {
  if (unreadable) return { deny: `${unreadable.why}; it can only be removed, with --force` };
  return verdicts[verb][state];
}

/** 'accept': do it; 'ignore': it is so already. Throws wrong_state with the reason otherwise. */
export function decide(verb: Verb, vm: Decided, options: { force?: boolean } = {}): 'accept' | 'ignore' {
  const ruling = rulingOf(verb, vm);
  if (typeof ruling === 'string') return ruling;
  if (verb === 'remove' && options.force) return 'accept';
  throw new VivError('wrong_state', `cannot ${words[verb] ?? verb} ${vm.name}: ${ruling.deny}`, { details: { state: vm.state } });
}
