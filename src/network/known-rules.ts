// The rules that the kernel was given last, kept in a file: a daemon that comes back changes only what differs, and what has been counted and what
// DNS has answered stays. Whether the kernel has them still is for its caller to see (firewall/rules.ts, planFor).
import { readFile, rename, writeFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { FirewallModel } from './firewall/model.ts';

export class KnownRules {
  readonly #file: string;
  #model: FirewallModel | null = null;
  #read = false;
  #writing: Promise<void> | null = null;

  constructor(file: string) {
    this.#file = file;
  }

  /** null: not known. */
  async last(): Promise<FirewallModel | null> {
    if (!this.#read) this.#model = await readFile(this.#file, 'utf8').then((text) => JSON.parse(text) as FirewallModel, unknown);
    this.#read = true;
    return this.#model;
  }

  /** The kernel has taken them. They are written meanwhile; what is not written when the daemon dies is given anew by the next one. */
  given(model: FirewallModel): void {
    if (model === this.#model) return;
    this.#model = model;
    this.#read = true;
    this.#writing ??= this.#write()
      .catch(() => {}) // as if it had never been known
      .finally(() => {
        this.#writing = null;
      });
  }

  async #write(): Promise<void> {
    for (let written: FirewallModel | null = null; written !== this.#model; ) {
      await setImmediate();
      written = this.#model;
      await writeFile(`${this.#file}.new`, JSON.stringify(written), { mode: 0o600 });
      await rename(`${this.#file}.new`, this.#file);
    }
  }
}

const unknown = () => null;
