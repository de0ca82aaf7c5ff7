// Text that others wrote, made safe to print: guests, file names and users may say anything, and a terminal obeys what it is sent.
// Leaves alone what a guest's own stream carries (exec, shell, console): that is the user's wish.

/** Escape sequences as a whole (CSI, OSC, DCS and the like, then any other two-byte one). */
const sequences =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]P^_X]|[\u0090\u009d\u009e\u009f\u0098])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]?/g;
// Control characters, and the marks that reverse or hide text.
const controls = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** On one line: sequences go, line breaks and tabs become spaces, what is left of controls goes. */
export function clean(text: string): string {
  return text
    .replace(sequences, '')
    .replace(/[\r\n\t]+/g, ' ')
    .replace(controls, '');
}

/** As `clean`, and lines stay lines. */
export function cleanLines(text: string): string {
  return text
    .split(/\r\n|\n|\r/)
    .map(clean)
    .join('\n');
}

/** At most `length` characters, with an ellipsis where it was cut. Never cuts a surrogate pair. */
export function shorten(text: string, length: number): string {
  if (text.length <= length) return text;
  const characters = Array.from(text.slice(0, length * 2 + 2));
  return characters.length <= length ? characters.join('') : `${characters.slice(0, Math.max(0, length - 1)).join('')}…`;
}

/** What a user typed, quoted in a message: in quotes, controls escaped, at most 40 characters. */
export function quote(text: string): string {
  const visible = shorten(text, 40).replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"\\]/g, (char) => {
    if (char === '\n') return '\\n';
    if (char === '\t') return '\\t';
    if (char === '\r') return '\\r';
    if (char === '"' || char === '\\') return `\\${char}`;
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return `"${visible}"`;
}

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Columns that the text takes on a terminal (East Asian and emoji count two, combining marks none). */
export function columns(text: string): number {
  let count = 0;
  for (const character of text) count += /\p{Mn}/u.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return count;
}

/** Cut to so many columns, the last of them an ellipsis where something was cut. */
export function cut(text: string, width: number): string {
  if (columns(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const character of text) {
    const step = columns(character);
    if (used + step > width - 1) break;
    kept += character;
    used += step;
  }
  return width < 1 ? '' : `${kept}…`;
}
