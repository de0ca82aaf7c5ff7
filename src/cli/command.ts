// What a command is: words, arguments, flags and what it does. Derived ones come from generic.ts, the others from command/*.ts.
import type { Section } from '../contract/operation.ts';
import type { Context } from './context.ts';
import type { Argument, Flag } from './parse/flag.ts';

/** What was typed, taken apart. */
export interface Invocation {
  /** Texts given by position, by the argument's field; empty where an optional one was left out. */
  readonly args: Readonly<Record<string, readonly string[]>>;
  /** Parsed values of the flags that were given, by the flag's field. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** What stood after `--`; null when there was no `--`. */
  readonly rest: readonly string[] | null;
}

export interface Command {
  /** `image ls` */
  readonly words: string;
  readonly section: Section;
  /** One sentence without a full stop. */
  readonly summary: string;
  readonly args: readonly Argument[];
  readonly flags: readonly Flag[];
  /** Takes words after `--`: how the help shows them. */
  readonly rest?: { readonly label: string; readonly required: boolean; readonly help: string };
  /** Further lines of the help: what is not obvious. */
  readonly notes?: readonly string[];
  readonly examples?: readonly string[];
  /** Resolves with the exit code (nothing: 0). What it throws is printed as one sentence. */
  readonly run: (invocation: Invocation, context: Context) => Promise<number | undefined>;
}

export const jsonFlag: Flag = { name: 'json', field: 'json', kind: 'boolean', help: 'Print exactly what the API returned' };
export const quietFlag: Flag = { name: 'quiet', field: 'quiet', kind: 'boolean', short: 'q', help: 'Print names only' };
export const yesFlag: Flag = { name: 'yes', field: 'yes', kind: 'boolean', short: 'y', help: 'Do not ask for confirmation' };

/** The first text given for an argument; empty when it was left out. */
export const one = (invocation: Invocation, field: string): string => invocation.args[field]?.[0] ?? '';
