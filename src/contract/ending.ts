// Numbers about the ends of daemons and hosts that several programs have to agree upon. Without a schema: every command loads them.

/** Exit code of a daemon that found another one in its state directory: that one serves, or will soon. (EX_TEMPFAIL of sysexits.h) */
export const stateDirectoryTakenExitCode = 75;

/** So long guests may take to shut down with their host. */
export const guestsDeadlineMs = 75_000;
