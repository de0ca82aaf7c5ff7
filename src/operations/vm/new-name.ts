// Names for VMs that were given none.
import { randomInt } from 'node:crypto';

const first = [
  'amber',
  'brave',
  'calm',
  'dusky',
  'eager',
  'fern',
  'gentle',
  'hazel',
  'ivory',
  'jolly',
  'keen',
  'lucid',
  'mossy',
  'nimble',
  'olive',
  'proud',
  'quiet',
  'rapid',
  'sunny',
  'tidy',
];
const second = [
  'adder',
  'beetle',
  'cricket',
  'dormouse',
  'eft',
  'frog',
  'gecko',
  'heron',
  'iguana',
  'jerboa',
  'kite',
  'lizard',
  'moth',
  'newt',
  'otter',
  'python',
  'quail',
  'rook',
  'skink',
  'toad',
];

/** A name that is not taken. */
export function newName(taken: (name: string) => boolean): string {
  const pick = (words: readonly string[]) => words[randomInt(words.length)] ?? '';
  for (let attempt = 0; ; attempt++) {
    const name = `${pick(first)}-${pick(second)}${attempt < 5 ? '' : `-${randomInt(10_000)}`}`;
    if (!taken(name)) return name;
  }
}
