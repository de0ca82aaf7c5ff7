// Applies rate limits (limits.ts) to the kernel: what is right is left alone, what conflicts is removed first.
import { VivError } from '../../../contract/errors.ts';
import type { FirewallModel } from '../model.ts';
import { appliedLimits, type Limited, limitsFor } from './limits.ts';

/** Runs a program in the networks' namespace. */
export type RunInNamespace = (
  program: string,
  args: readonly string[],
  input: string,
) => Promise<{ readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }>;

export class Shaper {
  /** What is configured; null: not known. */
  #limited: Limited | null = null;

  forget(): void {
    this.#limited = null;
  }

  /** @throws unsupported with the message of ip or tc */
  async apply(model: FirewallModel, { ip, tc }: { readonly ip: string; readonly tc: string }, run: RunInNamespace): Promise<void> {
    const before = this.#limited ?? appliedLimits((await run(tc, ['-json', 'qdisc', 'show'], '')).stdout || '[]');
    const { undoQueues, undoLinks, links, queues, after } = limitsFor(model, before);
    this.#limited = null;
    // What is gone with its interface is not a failure.
    if (undoQueues !== '') await run(tc, ['-force', '-batch', '-'], undoQueues);
    if (undoLinks !== '') await run(ip, ['-force', '-batch', '-'], undoLinks);
    for (const [program, script] of [
      [ip, links],
      [tc, queues],
    ] as const) {
      if (script === '') continue;
      const { exitCode, stderr } = await run(program, ['-batch', '-'], script);
      if (exitCode !== 0)
        throw new VivError('unsupported', `the rate limits of the networks could not be set: ${stderr.trim().slice(0, 500)}`);
    }
    this.#limited = after;
  }
}
