// Forwards: ports of the host that lead to ports of machines. A range that keeps its numbers is one element; a shifted one is an element a port, for
// the kernel cannot count through nftables. A forward opens the way through the network, not through the machine's groups.
import { VivError } from '../../contract/errors.ts';
import { address } from './address.ts';
import { portText } from './facts.ts';
import type { Forward } from './model.ts';
import type { Table } from './ruleset.ts';

/** Where and when destinations are rewritten. */
export interface Rewriting {
  readonly hook: 'prerouting' | 'output';
  readonly when: string;
}

export function rewriteDestinations(table: Table, forwards: readonly Forward[], { hook, when }: Rewriting): void {
  const rules: string[] = [];
  for (const family of [4, 6] as const) {
    const [ip, type] = [family === 4 ? 'ip' : 'ip6', `ipv${family}_addr`];
    const here = forwards.filter(({ target }) => address(target, 'the target of a forward').family === family);
    for (const bound of [true, false]) {
      const some = here.filter(({ bind }) => (bind !== null) === bound);
      const key = bound ? `${ip} daddr . meta l4proto . th dport` : 'meta l4proto . th dport';
      const keyType = `type ${bound ? `${type} . ` : ''}inet_proto . inet_service`;
      const at = (forward: Forward) => (bound ? `${bindText(forward, family)} . ` : '') + forward.protocol;
      const name = `forward${bound ? '_at' : ''}_${family}`;
      table.map(
        `${name}_same`,
        `${keyType} : ${type}; flags interval`,
        some.filter(keeps).map((forward) => [`${at(forward)} . ${range(forward)}`, target(forward)] as const),
      );
      const moved = some.filter((forward) => !keeps(forward)).flatMap((forward) => shifted(forward, at(forward)));
      table.map(`${name}_moved`, `${keyType} : ${type} . inet_service`, moved);
      const local = bound ? '' : 'fib daddr type local ';
      rules.push(`${when} ${local}meta l4proto { tcp, udp } dnat ${ip} to ${key} map @${name}_same`);
      rules.push(`${when} ${local}meta l4proto { tcp, udp } dnat ${ip} to ${key} map @${name}_moved`);
    }
  }
  table.chain(`forward_${hook}`, `type nat hook ${hook} priority -100; policy accept`, rules);
}

/** What matches packets on their way to a forward's target, after the destination was rewritten. */
export function forwardTargets(table: Table, forwards: readonly Forward[]): string[] {
  return ([4, 6] as const).map((family) => {
    const here = forwards.filter((forward) => address(forward.target, 'the target of a forward').family === family);
    const keys = here.map((forward) => {
      const last = forward.targetPort + forward.ports.to - forward.ports.from;
      return `${target(forward)} . ${forward.protocol} . ${portText({ from: forward.targetPort, to: last }, 'the target of a forward')}`;
    });
    table.set(`published_${family}`, `type ipv${family}_addr . inet_proto . inet_service; flags interval`, merged(keys));
    return `${family === 4 ? 'ip' : 'ip6'} daddr . meta l4proto . th dport @published_${family}`;
  });
}

const keeps = ({ ports, targetPort }: Forward) => ports.from === targetPort;
const target = (forward: Forward) => address(forward.target, 'the target of a forward').text;
const range = (forward: Forward) => portText(forward.ports, 'a forward');

function bindText(forward: Forward, family: 4 | 6): string {
  const bind = address(forward.bind ?? '', 'the address of a forward');
  if (bind.family !== family)
    throw new VivError('invalid', `a forward cannot lead from ${forward.bind} to ${forward.target}: one is IPv4 and the other IPv6`);
  return bind.text;
}

function shifted(forward: Forward, at: string): (readonly [string, string])[] {
  range(forward);
  const { ports, targetPort } = forward;
  portText({ from: targetPort, to: targetPort + ports.to - ports.from }, 'the target of a forward');
  return Array.from(
    { length: ports.to - ports.from + 1 },
    (_, step) => [`${at} . ${ports.from + step}`, `${target(forward)} . ${targetPort + step}`] as const,
  );
}

/** Two forwards may lead to the same ports; intervals must not overlap, so those that touch become one. */
function merged(keys: readonly string[]): string[] {
  const byTarget = new Map<string, [number, number][]>();
  for (const key of keys) {
    const cut = key.lastIndexOf(' . ');
    const [from = 0, to = from] = key
      .slice(cut + 3)
      .split('-')
      .map(Number);
    const list = byTarget.get(key.slice(0, cut)) ?? [];
    byTarget.set(key.slice(0, cut), [...list, [from, to]]);
  }
  return [...byTarget].flatMap(([where, ranges]) => {
    const whole: [number, number][] = [];
    for (const [from, to] of ranges.sort(([one], [other]) => one - other)) {
      const last = whole.at(-1);
      if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
      else whole.push([from, to]);
    }
    return whole.map(([from, to]) => `${where} . ${from === to ? from : `${from}-${to}`}`);
  });
}
