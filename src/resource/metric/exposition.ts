// Prometheus' text format 0.0.4: for each family its HELP and TYPE, then its samples. What is not known has no sample, and a family without
// samples is left out. 1,000 VMs are 32,000 samples, so the text is written family by family: nothing has to be put in order afterwards.

export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
}

/** Labels as they stand between the braces, made once for each VM: `vm="web",id="…"`. */
export type Labels = string;

/** Writes one sample. `value` undefined or null: it is not known. */
export type AddSample = (value: number | null | undefined, labels?: Labels) => void;

/** In a label's value a backslash, a quote and a line break are escaped. */
const escapeValue = (value: string) =>
  /[\\"\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value;
const escapeHelp = (help: string) => help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');

export const labels = (pairs: Readonly<Record<string, string>>): Labels =>
  Object.entries(pairs)
    .map(([name, value]) => `${name}="${escapeValue(value)}"`)
    .join(',');

export class Exposition {
  readonly #parts: Buffer[] = [];

  /** Each family once. */
  family({ name, type, help }: Family, samples: (add: AddSample) => void): void {
    let text = '';
    samples((value, given = '') => {
      if (value === undefined || value === null || !Number.isFinite(value)) return;
      text += given === '' ? `${name} ${value}\n` : `${name}{${given}} ${value}\n`;
    });
    if (text !== '') this.#parts.push(Buffer.from(`# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${text}`));
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
