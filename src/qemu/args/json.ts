// An option written as JSON: nothing in a value can become another key, whatever characters it has.
export const json = (option: string, value: Readonly<Record<string, unknown>>): string[] => [option, JSON.stringify(value)];

/** Where QEMU takes no JSON (-chardev, -name, -vnc) a comma ends a value, and two of them are one comma in it. */
export const escaped = (value: string): string => value.replaceAll(',', ',,');
