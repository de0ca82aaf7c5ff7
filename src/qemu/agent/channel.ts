// What the host asks of a guest's agent. client.ts speaks our agent's frames (docs/internals/agent-protocol.md); fallback.ts does what
// qemu-guest-agent can (exec without streaming) behind the same interface.
import type { Readable, Writable } from 'node:stream';

export interface ExecRequest {
  /** Program and arguments; empty: the user's login shell. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: string;
  /** With a terminal, everything the command prints comes on stdout. */
  readonly terminal?: { readonly rows: number; readonly columns: number; readonly type: string };
}

export type ExecEnd = { readonly exitCode: number | null; readonly signal: string | null };

/** A command inside the guest. Ends, with an error, when the port closes. */
export interface ExecChannel {
  /** Its process id in the guest, once it has started. */
  readonly started: Promise<number | null>;
  /** Ending it closes the command's standard input. Honours back-pressure. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** When the command has ended and all it wrote has been delivered. Rejects with VivError (guest_failed, no_agent). */
  readonly ended: Promise<ExecEnd>;
  resize(rows: number, columns: number): void;
  signal(name: string): void;
  /** Kills the command's process group and ends the channel. */
  close(): void;
}

export interface GuestFacts {
  readonly version: string;
  readonly kind: 'vivarium' | 'qemu-guest-agent';
  readonly arch: string;
}

/** An SSH host key as its two files contain it. */
export interface HostKey {
  readonly type: 'rsa' | 'ecdsa' | 'ed25519' | 'dsa';
  readonly privateKey: string;
  readonly publicKey: string;
}

export interface MacChange {
  readonly old: string;
  readonly new: string;
  readonly keepAddresses?: boolean;
  readonly addresses?: readonly string[];
}

/** What makes a running copy of a VM another one. Left-out fields stay as they are. */
export interface IdentityRequest {
  /** 32 to 512 random bytes for the kernel's generator, used at once. */
  readonly seedBytes?: Buffer;
  readonly timeMs?: number;
  /**
   * The interface that has address `old` gets `new`. It drops what DHCP gave it and asks anew, unless its IP addresses are to be kept,
   * because nobody else is in its network. `addresses` are its own, with the prefix of its network (10.1.2.3/24), at most one of each
   * family: where it had one in that network it has this one at once.
   */
  readonly macs?: readonly MacChange[];
  readonly hostname?: string;
  /** 32 hexadecimal digits. */
  readonly machineId?: string;
  /** One of each type. Where the guest has host keys, these take the place of all of them. */
  readonly sshKeys?: readonly HostKey[];
}

export interface IdentityResult {
  /** Of `seed time mac hostname machine-id ssh-keys` those that are done in full. */
  readonly done: string[];
  /** `PART: why` of each that the guest cannot do. */
  readonly skipped: string[];
}

/** One connection to a guest's agent; it ends when the port closes. */
export interface AgentConnection {
  readonly facts: GuestFacts;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  exec(request: ExecRequest): ExecChannel;
  /** Unpacks a tar stream into directory `path` of the guest. */
  copyIn(path: string, tar: Readable, signal: AbortSignal): Promise<{ files: number; bytes: number }>;
  /** A file or tree as a tar stream, names relative to the parent of `path`. */
  copyOut(path: string, signal: AbortSignal): Readable;
  /** Sets host name and clock; used after start, fork and wake. Left-out fields stay as they are. */
  configure(settings: { hostname?: string; timeMs?: number }): Promise<void>;
  /**
   * Makes the guest somebody else, before it does anything else. May be repeated. @throws VivError invalid (nothing was sent),
   * guest_failed, no_agent
   */
  identity(request: IdentityRequest): Promise<IdentityResult>;
  /** Asks the guest to power off or reboot; resolves when it has accepted. */
  power(what: 'poweroff' | 'reboot'): Promise<void>;
  /** Writes the guest's file systems out and freezes them; they thaw by themselves after `timeoutMs`. */
  freeze(timeoutMs: number): Promise<void>;
  thaw(): Promise<void>;
  ping(timeoutMs: number): Promise<void>;
  close(): void;
}
