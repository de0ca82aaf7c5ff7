// The rules in the kernel. The model that was applied last is kept in a file as well, so that the next daemon changes only what differs: counters, and
// addresses learned from DNS, stay.
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { VivError } from '../../contract/errors.ts';
import { writeWhole } from '../../host/file/whole-file.ts';
import type { FirewallModel } from './model.ts';
import { digestArguments, digestOf, planFor, readDigest } from './rules.ts';
import type { RunInNamespace } from './shaping/shaper.ts';

export class AppliedRules {
  readonly #file: string;
  /** Applied last. */
  #model: FirewallModel | null = null;
  /** The kernel is known to have them. */
  #inForce = false;
  #read = false;
  #isWriting = false;

  constructor(file: string) {
    this.#file = file;
  }

  /** The model that was applied last, by this daemon or an earlier one; null: not known. */
  async last(): Promise<FirewallModel | null> {
    if (!this.#read) this.#model = await readFile(this.#file, 'utf8').then((text) => JSON.parse(text) as FirewallModel, unknown);
    this.#read = true;
    return this.#model;
  }

  /** Whether the kernel still has them, as far as known; if not, the next apply() loads them again. */
  async check(nft: string, run: RunInNamespace): Promise<boolean> {
    const last = await this.last();
    if (!this.#inForce || !last || (await this.#readDigest(nft, run)) === digestOf(last)) return true;
    this.#inForce = false;
    return false;
  }

  async #readDigest(nft: string, run: RunInNamespace): Promise<string | null> {
    const answers = await Promise.all(digestArguments.map((args) => run(nft, args, '')));
    return readDigest(answers.map(({ stdout }) => stdout));
  }

  /** The next apply() asks the kernel first. */
  forget(): void {
    this.#inForce = false;
  }

  /** Changes what differs, in one transaction. @throws unsupported with nft's message */
  async apply(model: FirewallModel, nft: string, run: RunInNamespace): Promise<void> {
    const last = await this.last();
    const actual = this.#inForce && last ? digestOf(last) : await this.#readDigest(nft, run);
    const { kind, script } = planFor(model, last, actual);
    if (kind !== 'nothing') {
      const { exitCode, stderr } = await run(nft, ['-f', '-'], script);
      if (exitCode !== 0) throw new VivError('unsupported', `the firewall rules could not be loaded: ${stderr.trim().slice(-500)}`);
    }
    this.#inForce = true;
    if (model === this.#model) return;
    this.#model = model;
    // A daemon that dies before it is written only makes the next one load the rules again.
    if (!this.#isWriting) void this.#write().catch(() => {}); // the next daemon loads the rules again
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
