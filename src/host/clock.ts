// The time, and being called later. Handed down where a test has to decide how late it is.
export interface Clock {
  /** Ms since 1970. */
  now(): number;
  /** Calls `act` after so many ms, unless the function that it answers is called before. It keeps no process alive. */
  after(ms: number, act: () => void): () => void;
}

export const systemClock: Clock = {
  now: Date.now,
  after(ms, act) {
    const timer = setTimeout(act, ms).unref();
    return () => clearTimeout(timer);
  },
};
