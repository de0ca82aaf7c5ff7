// Prometheus' text format 0.0.4: for each family its HELP and TYPE, then its samples. What is not known has no sample, and a family without
// samples is left out.

export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
}

/** Labels as they stand between the braces, made once for each VM: `vm="web",id="…"`. */
export type Labels = string;

/** In a label's value a backslash, a quote and a line break are escaped. */
const escapeValue = (value: string) => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
const escapeHelp = (help: string) => help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');

export const labels = (pairs: Readonly<Record<string, string>>): Labels =>
  Object.entries(pairs)
    .map(([name, value]) => `${name}="${escapeValue(value)}"`)
    .join(',');

/** Gathers samples by family: the format wants those of one family together, and they are found VM by VM. */
export class Exposition {
  readonly #families = new Map<Family, { text: string }>();

  /** @param value undefined, null: it is not known, and there is no sample */
  add(family: Family, value: number | null | undefined, given: Labels = ''): void {
    if (value === undefined || value === null || !Number.isFinite(value)) return;
    let found = this.#families.get(family);
    if (!found) {
      found = { text: `# HELP ${family.name} ${escapeHelp(family.help)}\n# TYPE ${family.name} ${family.type}\n` };
      this.#families.set(family, found);
    }
    found.text += given === '' ? `${family.name} ${value}\n` : `${family.name}{${given}} ${value}\n`;
  }

  bytes(): Buffer {
    return Buffer.concat([...this.#families.values()].map(({ text }) => Buffer.from(text)));
  }
}
