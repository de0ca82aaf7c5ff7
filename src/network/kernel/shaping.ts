// Limits on what passes (firewall/limits.ts), brought into the kernel: what is right is left alone, what is in the way goes first.
import { VivError } from '../../contract/errors.ts';
import { type Limited, limitedNow, limitsFor } from '../firewall/limits.ts';
import type { FirewallModel } from '../firewall/model.ts';

/** Runs a program where the networks are. */
export type RunThere = (
  program: string,
  args: readonly string[],
  input: string,
) => Promise<{ readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }>;

export class Shaping {
  /** What is set up; null: not known. */
  #limited: Limited | null = null;

  forget(): void {
    this.#limited = null;
  }

  /** @throws unsupported with the kernel's words */
  async apply(model: FirewallModel, { ip, tc }: { readonly ip: string; readonly tc: string }, run: RunThere): Promise<void> {
    const before = this.#limited ?? limitedNow((await run(tc, ['-json', 'qdisc', 'show'], '')).stdout || '[]');
    const { undoQueues, undoLinks, links, queues, after } = limitsFor(model, before);
    this.#limited = null;
    // What has gone with its interface is no failure.
    if (undoQueues !== '') await run(tc, ['-force', '-batch', '-'], undoQueues);
    if (undoLinks !== '') await run(ip, ['-force', '-batch', '-'], undoLinks);
    for (const [program, script] of [
      [ip, links],
      [tc, queues],
    ] as const) {
      if (script === '') continue;
      const { exitCode, stderr } = await run(program, ['-batch', '-'], script);
      if (exitCode !== 0) throw new VivError('unsupported', `the limits of the networks could not be set: ${stderr.trim().slice(0, 500)}`);
    }
    this.#limited = after;
  }
}
