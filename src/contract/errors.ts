// Every way an operation can fail: one code, its HTTP status and the exit code `viv` ends with.
// A code never changes its meaning; the message says what was tried, on what, and what to do next.

/** code -> HTTP status and exit code of the command line (1 failed, 2 wrong use). */
export const errorCodes = {
  invalid: { status: 400, exit: 2 }, //          the request is malformed
  unauthenticated: { status: 401, exit: 1 }, //  who is asking is not known
  rate_limited: { status: 429, exit: 1 }, //     too many wrong sign-ins; details say when to try again
  forbidden: { status: 403, exit: 1 }, //        who is asking may not
  not_found: { status: 404, exit: 1 }, //        no such VM, image, task
  ambiguous: { status: 409, exit: 2 }, //        an id prefix that fits several
  name_taken: { status: 409, exit: 1 },
  wrong_state: { status: 409, exit: 1 }, //      the VM's state does not allow this verb
  in_use: { status: 409, exit: 1 },
  busy: { status: 409, exit: 1 }, //             another operation holds it, or it changed meanwhile
  over_quota: { status: 409, exit: 1 }, //       the project's quotas do not allow it
  too_large: { status: 413, exit: 1 },
  no_memory: { status: 507, exit: 1 }, //        the host has not enough memory for it
  no_space: { status: 507, exit: 1 }, //         the host's disk is (nearly) full
  missing_program: { status: 503, exit: 1 }, //  QEMU or another program is absent or too old
  no_accelerator: { status: 503, exit: 1 }, //   KVM was asked for and does not work here
  qemu_failed: { status: 502, exit: 1 }, //      QEMU ended or refused; the message has its own words
  no_agent: { status: 503, exit: 1 }, //         the guest's agent does not answer
  guest_failed: { status: 422, exit: 1 }, //     the guest refused: no such file, no such command
  checksum: { status: 502, exit: 1 }, //         what was downloaded is not what was promised
  download_failed: { status: 502, exit: 1 },
  corrupt: { status: 422, exit: 1 }, //          an image or file that cannot be what it claims
  timeout: { status: 504, exit: 1 },
  cancelled: { status: 499, exit: 1 },
  unsupported: { status: 501, exit: 1 }, //      not on this host, or not yet
  unavailable: { status: 503, exit: 1 }, //      the daemon is not there or is going down
  internal: { status: 500, exit: 1 }, //         a bug in Vivarium
} as const satisfies Record<string, { status: number; exit: number }>;

export type ErrorCode = keyof typeof errorCodes;

/** Codes that occur together, for the lists of the operations. What any operation may fail with is in contract/operation.ts. */
export const failures = {
  /** Finding the one thing that a name or an id means; corrupt: its record cannot be read. */
  find: ['not_found', 'ambiguous', 'corrupt'],
  /** Making or changing disks and other files of a VM or an image. */
  files: ['no_space', 'missing_program', 'corrupt', 'in_use', 'unsupported', 'timeout'],
  /** Sending a command to a running QEMU. */
  qemu: ['qemu_failed', 'timeout'],
  /** Starting a VM's QEMU. */
  start: [
    'invalid',
    'in_use',
    'no_memory',
    'no_space',
    'no_accelerator',
    'missing_program',
    'corrupt',
    'unsupported',
    'qemu_failed',
    'timeout',
  ],
  /** Acting inside a guest. */
  guest: ['wrong_state', 'no_agent', 'guest_failed', 'unsupported', 'too_large', 'timeout'],
} as const satisfies Record<string, readonly ErrorCode[]>;

/** What travels to the caller. `details` carries facts a program can use (never secrets). */
export interface ErrorBody {
  code: ErrorCode;
  message: string;
  details?: Record<string, unknown>;
}

/** The one error type. Thrown in the daemon, sent as an ErrorBody, thrown again by the SDK. */
export class VivError extends Error {
  override readonly name = 'VivError';
  readonly code: ErrorCode;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.details = options.details;
  }

  get status(): number {
    return errorCodes[this.code].status;
  }

  get exitCode(): number {
    return errorCodes[this.code].exit;
  }

  toBody(): ErrorBody {
    return { code: this.code, message: this.message, ...(this.details ? { details: this.details } : {}) };
  }

  static fromBody(body: ErrorBody): VivError {
    return new VivError(body.code, body.message, body.details ? { details: body.details } : {});
  }
}

const mostNamed = 5;

/** `a, b, c, d, e and 3 more`: as many as fit into a sentence. */
export function someOf(names: readonly string[]): string {
  const more = names.length - mostNamed;
  return more > 0 ? `${names.slice(0, mostNamed).join(', ')} and ${more} more` : names.join(', ');
}
