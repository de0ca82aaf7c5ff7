// The firewall's rules in the kernel. Those that it was given last are kept in a file as well: a daemon that comes back changes only what differs,
// and what has been counted and what DNS has answered stays.
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { VivError } from '../../contract/errors.ts';
import { writeWhole } from '../../host/whole-file.ts';
import type { RunThere } from '../kernel/shaping.ts';
import type { FirewallModel } from './model.ts';
import { digestArguments, digestOf, planFor, readDigest } from './rules.ts';

export class RulesHere {
  readonly #file: string;
  /** Given last. */
  #model: FirewallModel | null = null;
  /** The kernel has them; otherwise it has to be asked. */
  #inForce = false;
  #read = false;
  #isWriting = false;

  constructor(file: string) {
    this.#file = file;
  }

  /** Those that it was given last, by whichever daemon; null: not known. */
  async last(): Promise<FirewallModel | null> {
    if (!this.#read) this.#model = await readFile(this.#file, 'utf8').then((text) => JSON.parse(text) as FirewallModel, unknown);
    this.#read = true;
    return this.#model;
  }

  /** Whether the kernel has them still, as far as it is known which; otherwise it gets them anew with the next change. */
  async look(nft: string, run: RunThere): Promise<boolean> {
    const last = await this.last();
    if (!this.#inForce || !last || (await this.#present(nft, run)) === digestOf(last)) return true;
    this.#inForce = false;
    return false;
  }

  async #present(nft: string, run: RunThere): Promise<string | null> {
    const answers = await Promise.all(digestArguments.map((args) => run(nft, args, '')));
    return readDigest(answers.map(({ stdout }) => stdout));
  }

  /** Asks the kernel before the next change. */
  forget(): void {
    this.#inForce = false;
  }

  /** Only what differs is changed, at once and without a gap. @throws unsupported with the kernel's words */
  async apply(model: FirewallModel, nft: string, run: RunThere): Promise<void> {
    const last = await this.last();
    const present = this.#inForce && last ? digestOf(last) : await this.#present(nft, run);
    const { kind, script } = planFor(model, last, present);
    if (kind !== 'nothing') {
      const { exitCode, stderr } = await run(nft, ['-f', '-'], script);
      if (exitCode !== 0) throw new VivError('unsupported', `the rules of the networks could not be set: ${stderr.trim().slice(-500)}`);
    }
    this.#inForce = true;
    if (model === this.#model) return;
    this.#model = model;
    // What is not written when the daemon dies is given anew by the next one.
    if (!this.#isWriting) void this.#write().catch(() => {}); // as if it had never been known
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      for (let written: FirewallModel | null = null; written !== this.#model; ) {
        await setImmediate();
        written = this.#model;
        await writeWhole(this.#file, JSON.stringify(written), 0o600);
      }
    } finally {
      this.#isWriting = false;
    }
  }
}

const unknown = () => null;
