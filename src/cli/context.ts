// What a command works with: the three streams, the daemon's client, Ctrl-C, and what kind of terminal this is.
import type { Client } from '../sdk/client.ts';
import type { Interrupts } from './terminal/interrupt.ts';
import type { Screen } from './terminal/screen.ts';

export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Messages and progress, on stderr. */
  readonly screen: Screen;
  readonly interrupts: Interrupts;
  /** Columns of the terminal that stdout is; undefined where it is none, and nothing is cut. */
  readonly width: number | undefined;
  /** True when someone can answer a question. */
  readonly interactive: boolean;
  /** The daemon's client, made once; starts the daemon where none is running. */
  client(): Promise<Client>;
  /** A new client, for waiting that outlives a daemon; starts the next daemon where none is running. */
  reconnect(): Promise<Client>;
  /** The client of a daemon that is running; throws `unavailable` where none is. */
  runningClient(): Promise<Client>;
  /** Writes a result to stdout, with a line break at its end; resolves when it has left. */
  print(text: string): Promise<void>;
}

/** Whole documents, as `--json` prints them. */
export const asJson = (value: unknown): string => JSON.stringify(value, null, 2);
