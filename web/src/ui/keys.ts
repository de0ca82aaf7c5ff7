// Keys for a VM's screen: chords that a browser or its system keeps for itself, and text typed key by key (X11 keysyms).
interface Keyboard {
  sendKey(keysym: number, code: string | null, down?: boolean): void;
}
type Key = readonly [keysym: number, code: string];

const control: Key = [0xffe3, 'ControlLeft'];
const alt: Key = [0xffe9, 'AltLeft'];
const fn = (number: number): Key => [0xffbd + number, `F${number}`];

export const chords: Readonly<Record<string, readonly Key[]>> = {
  'Ctrl-Alt-Del': [control, alt, [0xffff, 'Delete']],
  'Ctrl-Alt-Backspace': [control, alt, [0xff08, 'Backspace']],
  'Ctrl-Alt-F1': [control, alt, fn(1)],
  'Ctrl-Alt-F2': [control, alt, fn(2)],
  'Ctrl-Alt-F7': [control, alt, fn(7)],
  'Alt-Tab': [alt, [0xff09, 'Tab']],
  'Alt-F4': [alt, fn(4)],
  'Alt-SysRq': [alt, [0xff61, 'PrintScreen']],
  Esc: [[0xff1b, 'Escape']],
};

export function press(keyboard: Keyboard, keys: readonly Key[]): void {
  for (const [keysym, code] of keys) keyboard.sendKey(keysym, code, true);
  for (const [keysym, code] of keys.toReversed()) keyboard.sendKey(keysym, code, false);
}

/** Latin-1 characters are their own keysym; all others follow at 0x01000000. */
export function keysymOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (character === '\n') return 0xff0d;
  if (character === '\t') return 0xff09;
  return code < 0x100 ? code : 0x01000000 + code;
}

export function typeText(keyboard: Keyboard, typed: string): void {
  for (const character of typed.replaceAll('\r\n', '\n')) keyboard.sendKey(keysymOf(character), null);
}
