// Numbers and names of contract/stream.ts that need no schema, for those who start often.

export const channel = { stdin: 0, stdout: 1, stderr: 2 } as const;

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
