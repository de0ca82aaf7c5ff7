// The last comparison of each file that snapshots consist of with its checksums, and the damage found. Key `check/<file>`. Snapshots share
// layers, so it is kept by file: damage of a file is damage of each snapshot that uses it, and of no other.
import { z } from 'zod';
import { Time } from '../../contract/field.ts';
import type { Store } from '../../store/store.ts';

const FileCheck = z.object({
  at: Time,
  /** `is missing`, `is not as it was written`; null: it was whole. */
  damage: z.string().nullable(),
});
type FileCheck = z.infer<typeof FileCheck>;

const prefix = 'check/';

export class FileChecks {
  readonly #store: Store;
  readonly #byFile = new Map<string, FileCheck>();

  private constructor(store: Store) {
    this.#store = store;
  }

  static async open(store: Store): Promise<FileChecks> {
    const checks = new FileChecks(store);
    for (const { key, value } of await store.list(prefix)) {
      const parsed = FileCheck.safeParse(value);
      if (parsed.success) checks.#byFile.set(key.slice(prefix.length), parsed.data); // any other is replaced by the next comparison
    }
    return checks;
  }

  /** Undefined: it has not been compared yet. */
  of(file: string): FileCheck | undefined {
    return this.#byFile.get(file);
  }

  /** The first of these that is known to be damaged. */
  damaged(files: readonly string[]): { file: string; damage: string } | null {
    for (const file of files) {
      const damage = this.#byFile.get(file)?.damage;
      if (damage) return { file, damage };
    }
    return null;
  }

  async note(file: string, check: FileCheck): Promise<void> {
    await this.#store.commit({ puts: [{ key: `${prefix}${file}`, value: check }] });
    this.#byFile.set(file, check);
  }

  /** Repeatable. */
  async forget(files: readonly string[]): Promise<void> {
    const known = files.filter((file) => this.#byFile.has(file));
    if (known.length === 0) return;
    await this.#store.commit({ deletes: known.map((file) => `${prefix}${file}`) });
    for (const file of known) this.#byFile.delete(file);
  }

  /** Forgets the files for which `isThere` returns false. Repeatable. */
  async forgetOthers(isThere: (file: string) => boolean): Promise<void> {
    await this.forget([...this.#byFile.keys()].filter((file) => !isThere(file)));
  }
}
