// What the host asks of a guest agent. client.ts speaks the protocol of Vivarium's agent (docs/internals/agent-protocol.md); fallback.ts
// does what qemu-guest-agent can (exec without streaming) behind the same interface.
import type { Readable, Writable } from 'node:stream';

export interface ExecRequest {
  /** Program and arguments (empty: the user's login shell). */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: string;
  /** On a terminal, everything the command prints arrives on stdout. */
  readonly terminal?: { readonly rows: number; readonly columns: number; readonly type: string };
}

export type ExecEnd = { readonly exitCode: number | null; readonly signal: string | null };

/** A command in the guest. Ends with an error when the port closes. */
export interface ExecChannel {
  /** Its process id in the guest, once it has started. */
  readonly started: Promise<number | null>;
  /** Ending it closes the command's standard input. Applies back-pressure. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when the command has ended and its output has been delivered. Rejects with VivError (guest_failed, no_agent). */
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

/** The identity that a fork gets. Absent fields stay as they are. */
export interface IdentityRequest {
  /** 32 to 512 random bytes for the kernel's random number generator, which uses them immediately. */
  readonly seedBytes?: Buffer;
  readonly timeMs?: number;
  /**
   * The interface with MAC address `old` gets `new`. It loses its leased IP addresses and asks for new ones, unless `keepAddresses` is set
   * because it is alone in its network. `addresses` are the ones assigned to it, with the prefix of their subnet (10.1.2.3/24), at most
   * one per family: they immediately replace the old ones in the same subnet.
   */
  readonly macs?: readonly MacChange[];
  readonly hostname?: string;
  /** 32 hexadecimal digits. */
  readonly machineId?: string;
  /** One per type. They replace all host keys of a guest that has any. */
  readonly sshKeys?: readonly HostKey[];
}

export interface IdentityResult {
  /** Those of `seed time mac hostname machine-id ssh-keys` that are done completely. */
  readonly done: string[];
  /** `PART: reason` of each that the guest cannot do. */
  readonly skipped: string[];
}

/** What a guest has copied. */
export interface CopyResult {
  readonly files: number;
  readonly bytes: number;
  /** `NAME: reason` of each entry that was left out, at most 100. */
  readonly skipped: string[];
}

export interface FreezeResult {
  /** Mount points of the file systems that are frozen. */
  readonly frozen: string[];
  /** `MOUNT POINT: reason` of each that cannot be frozen. */
  readonly skipped: string[];
}

/** One connection to a guest agent. It ends when the port closes. */
export interface AgentConnection {
  readonly facts: GuestFacts;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  exec(request: ExecRequest): ExecChannel;
  /** Extracts a tar stream into directory `path` of the guest. */
  copyIn(path: string, tar: Readable, signal: AbortSignal): Promise<CopyResult>;
  /** A file or tree as a tar stream, with names relative to the parent of `path`. Fails at its end where something could not be read. */
  copyOut(path: string, signal: AbortSignal): Readable;
  /** Sets host name and clock. Absent fields stay as they are. */
  configure(settings: { hostname?: string; timeMs?: number }): Promise<void>;
  /** Gives a fork its identity, before any other request. Idempotent. @throws VivError invalid (nothing was sent), guest_failed, no_agent */
  identity(request: IdentityRequest): Promise<IdentityResult>;
  /** Asks the guest to power off or reboot. Resolves when it has accepted. */
  power(action: 'poweroff' | 'reboot'): Promise<void>;
  /** Flushes and freezes the guest's file systems. They thaw by themselves after `timeoutMs`. @throws VivError guest_failed (nothing is frozen) */
  freeze(timeoutMs: number): Promise<FreezeResult>;
  /** @returns whether they had thawed by themselves before */
  thaw(): Promise<{ expired: boolean }>;
  ping(timeoutMs: number): Promise<void>;
  close(): void;
}
