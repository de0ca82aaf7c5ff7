// The language of the console: the first of the browser's that there is a file for, or the one that was chosen.
import { en, type Text } from './en.ts';

export let text: Text = en;

const load: Readonly<Record<string, () => Promise<Text>>> = {
  en: async () => en,
  de: async () => (await import('./de.ts')).de,
};
export const languages = { en: 'English', de: 'Deutsch' } as const;
const key = 'vivarium-language';

export function chosenLanguage(): keyof typeof languages {
  const wishes = [stored(), ...navigator.languages].map((wish) => wish?.slice(0, 2).toLowerCase());
  return (wishes.find((wish) => wish !== undefined && wish in load) ?? 'en') as keyof typeof languages;
}

function stored(): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // storage is switched off
  }
}

/** Before anything is drawn. */
export async function loadLanguage(): Promise<void> {
  const code = chosenLanguage();
  text = (await load[code]?.()) ?? en;
  document.documentElement.lang = code;
}

export function chooseLanguage(code: keyof typeof languages): void {
  localStorage.setItem(key, code);
  location.reload();
}
