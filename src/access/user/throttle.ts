// How long somebody has to wait after wrong sign-ins: nothing for the first five, then twice as long after each. Accounts and addresses are counted
// apart. An account's wait stays short, because anybody can cause it; an address's grows to 15 minutes. Kept in memory: a restart forgets it.
import { isIPv6 } from 'node:net';

const free = 5;
const firstMs = 1000;
const longestMs = { account: 30_000, address: 15 * 60_000 } as const;
/** Without a further failure the count is forgotten. */
const forgetMs = 60 * 60_000;
const mostKept = 10_000;

interface Failures {
  count: number;
  /** Refused until then. */
  until: number;
  last: number;
}

export class Throttle {
  readonly #kept = new Map<string, Failures>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Ms until a sign-in is looked at again; 0: now. */
  waitMs(account: string, address: string | null): number {
    const now = this.#now();
    return Math.max(0, ...keysOf(account, address).map(([, key]) => (this.#kept.get(key)?.until ?? 0) - now));
  }

  failed(account: string, address: string | null): void {
    const now = this.#now();
    for (const [kind, key] of keysOf(account, address)) {
      const before = this.#kept.get(key);
      const count = before && now - before.last < forgetMs ? before.count + 1 : 1;
      const waitMs = count < free ? 0 : Math.min(longestMs[kind], firstMs * 2 ** Math.min(count - free, 20));
      // Entered anew, so that the first of the map is the one that failed longest ago.
      this.#kept.delete(key);
      this.#kept.set(key, { count, until: now + waitMs, last: now });
    }
    while (this.#kept.size > mostKept) this.#kept.delete(this.#kept.keys().next().value as string);
  }

  /** The account's count ends; the address keeps its own, or one known password would let an attacker continue with others. */
  succeeded(account: string): void {
    this.#kept.delete(`account ${account}`);
  }
}

function keysOf(account: string, address: string | null): ['account' | 'address', string][] {
  const keys: ['account' | 'address', string][] = [['account', `account ${account}`]];
  if (address !== null) keys.push(['address', `address ${networkOf(address)}`]);
  return keys;
}

/** One subscriber has a whole IPv6 /64. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail = ''] = address.split('%')[0]?.split('::') ?? [];
  const front = head === '' ? [] : head.split(':');
  const back = tail === '' ? [] : tail.split(':');
  const groups = address.includes('::')
    ? [...front, ...Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0'), ...back]
    : front;
  return groups.slice(0, 4).join(':');
}
