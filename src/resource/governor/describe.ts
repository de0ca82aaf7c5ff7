// Decisions as events: a sentence for people and the numbers behind it. Pure.
import type { Decision } from './model.ts';

export interface GovernorEvent {
  /** `noun.past-participle`. */
  readonly type: string;
  readonly subject?: string;
  readonly name?: string;
  readonly message: string;
}

/** @param nameOf the name of a VM */
export function eventOf(decision: Decision, nameOf: (vm: string) => string): GovernorEvent {
  const why = `${decision.reason} (${numbersText(decision.numbers)})`;
  switch (decision.kind) {
    case 'memory': {
      const gives = decision.toBytes > decision.fromBytes;
      const amount = size(Math.abs(decision.toBytes - decision.fromBytes));
      const name = nameOf(decision.vm);
      const message = `${name} ${gives ? 'was given' : 'gave'} ${amount} of memory, ${size(decision.fromBytes)} to ${size(decision.toBytes)}: ${why}`;
      return { type: gives ? 'governor.memory-given' : 'governor.memory-taken', subject: decision.vm, name, message };
    }
    case 'cpu': {
      const lends = decision.to > decision.from;
      const name = nameOf(decision.vm);
      const message = `${name} ${lends ? 'may use' : 'is back at'} ${decision.to} CPUs instead of ${decision.from}: ${why}`;
      return { type: lends ? 'governor.cpu-lent' : 'governor.cpu-recalled', subject: decision.vm, name, message };
    }
    case 'warm-pool':
      return {
        type: 'governor.warm-pools-reduced',
        message: `warm pools give back ${size(decision.freeBytes)}: ${why}`,
      };
    case 'suspend': {
      const name = nameOf(decision.vm);
      return { type: 'governor.vm-suspended', subject: decision.vm, name, message: `${name} is suspended to free its memory: ${why}` };
    }
  }
}

function numbersText(numbers: Readonly<Record<string, number>>): string {
  return Object.entries(numbers)
    .map(([name, value]) => {
      const words = name.replace(/(Bytes|Ms)$/, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
      if (name.endsWith('Bytes')) return `${words} ${size(value)}`;
      if (name.endsWith('Ms')) return `${words} ${Math.round(value / 1000)} s`;
      return `${words} ${Math.round(value * 100) / 100}`;
    })
    .join(', ');
}

const size = (bytes: number): string =>
  bytes >= 10 * 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
