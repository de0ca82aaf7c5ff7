// The commands a busybox has, read from its own table of names, so that a busybox of another architecture need not be run.

/** Names in the order of the table. Throws when the bytes hold no such table. Pure. */
export function applets(busybox: Buffer): string[] {
  // The table is sorted and NUL-separated; it begins with `[` and `[[`, and ends with an empty name.
  const begin = busybox.indexOf(Buffer.from('\0[\0[[\0'));
  if (begin < 0) throw new Error('this busybox has no table of commands that begins with [ and [[');
  const names: string[] = [];
  let at = begin + 1;
  for (;;) {
    const end = busybox.indexOf(0, at);
    if (end <= at) break;
    const name = busybox.toString('latin1', at, end);
    const last = names.at(-1);
    if (!/^[[a-z0-9._-]+$/.test(name) || (last !== undefined && name <= last)) break;
    names.push(name);
    at = end + 1;
  }
  return names.filter((name) => name !== 'busybox');
}
