// The clock, and timers. Passed as an argument where a test controls the time.
export interface Clock {
  /** Ms since 1970. */
  now(): number;
  /** Calls `act` after so many ms. The timer keeps no process alive. @returns cancels it */
  after(ms: number, act: () => void): () => void;
}

export const systemClock: Clock = {
  now: Date.now,
  after(ms, act) {
    const timer = setTimeout(act, ms).unref();
    return () => clearTimeout(timer);
  },
};
