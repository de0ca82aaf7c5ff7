// Waiting for what comes by itself and tells nobody: it is looked at again and again. Patience is long, because it costs nothing where
// all is well, and a host may be slow or stand still for seconds.

export const patienceMs = 60_000;
const everyMs = 20;

/** What `look` gives, as soon as it neither throws nor is false. @throws where it never comes to that, with what was in the way last */
export async function eventually<T>(what: string, look: () => T | Promise<T>): Promise<Exclude<T, false>> {
  for (const deadline = performance.now() + patienceMs; ; await new Promise((resolve) => setTimeout(resolve, everyMs))) {
    // What takes its time to look may take it: the last look begins after the deadline.
    const last = performance.now() > deadline;
    try {
      const found = await look();
      if (found !== false) return found as Exclude<T, false>;
    } catch (cause) {
      if (last) throw new Error(`${what}: ${(cause as Error).message}`, { cause });
    }
    if (last) throw new Error(`${what}: it never came to that`);
  }
}
