// Waiting for what happens in the background without an event: the condition is polled. The deadline is long because it costs nothing when all is
// well, and a busy host may stall for seconds.

export const patienceMs = 60_000;
const everyMs = 20;

/** The result of `probe`, as soon as it neither throws nor is false. @throws after the deadline, with what the last probe threw */
export async function eventually<T>(what: string, probe: () => T | Promise<T>): Promise<Exclude<T, false>> {
  for (const deadline = performance.now() + patienceMs; ; await new Promise((resolve) => setTimeout(resolve, everyMs))) {
    // A probe may be slow: the last one begins after the deadline.
    const last = performance.now() > deadline;
    try {
      const found = await probe();
      if (found !== false) return found as Exclude<T, false>;
    } catch (cause) {
      if (last) throw new Error(`${what}: ${(cause as Error).message}`, { cause });
    }
    if (last) throw new Error(`${what}: did not happen within ${patienceMs / 1000} s`);
  }
}
