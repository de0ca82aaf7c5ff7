// Numbers and names of what travels in streams that need no schema, for those who start often.

export const channel = { stdin: 0, stdout: 1, stderr: 2 } as const;

/** The trailer of a download that failed midway, for callers that say `TE: trailers`: an Error as percent-encoded JSON. */
export const errorTrailer = 'viv-error';

/** Signals that can be sent into a guest. */
export const signalNames = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGKILL',
  'SIGUSR1',
  'SIGUSR2',
  'SIGTERM',
  'SIGCONT',
  'SIGSTOP',
  'SIGTSTP',
  'SIGWINCH',
] as const;
