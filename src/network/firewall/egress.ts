// What a VM may reach beyond its own network. Names are sets of addresses that our DNS fills with what it answered: dnsmasq is told so by the
// lines of domainLines, and never gives an answer that is kept longer than an address stays in the set.
import { domainOf } from '../../contract/egress.ts';
import { VivError } from '../../contract/errors.ts';
import { subnet } from './address.ts';
import type { PortFacts } from './facts.ts';
import type { FirewallPort } from './model.ts';
import { named, tableName } from './names.ts';
import type { Table } from './ruleset.ts';

/** How long an answer may be kept by whoever asked, and an address after it was answered, and after it was last reached. */
const answerSeconds = 300;
const namedSeconds = 900;
const reachedSeconds = 3600;

/** @returns the chain for this port's policy, which comes back with what is allowed; null where all is. */
export function egressChain(table: Table, port: PortFacts): string | null {
  const { egress, network } = port;
  if (egress.kind === 'all') return null;
  const cidrs =
    egress.kind === 'none' ? [] : egress.cidrs.map((text) => subnet(text, `the egress policy of port ${JSON.stringify(port.name)}`));
  const domains = egress.kind === 'none' ? [] : egress.domains.map(domainName);
  const name = named('egress', network.name, ...cidrs.map(({ text }) => text).sort(), '', ...[...domains].sort());
  if (table.chains.has(name)) return name;
  const near = ['255.255.255.255/32', '224.0.0.0/24', 'fe80::/10', 'ff02::/16'].map((text) => subnet(text, 'the neighbourhood'));
  const plain = [...network.subnets, ...near, ...cidrs].map(({ family, text }) => `${family === 4 ? 'ip' : 'ip6'} daddr ${text} return`);
  return table.chain(name, null, [...new Set(plain), ...domains.flatMap((domain) => byDomain(table, domain)), 'goto refused_egress']);
}

function domainName(text: string): string {
  const name = domainOf(text);
  if (name === null) throw new VivError('invalid', `egress by domain needs a domain name, this is none: ${JSON.stringify(text)}`);
  return name;
}

/**
 * dnsmasq's configuration for every domain that the policies of a network's ports name, to be given to the dnsmasq of that network. A name stands for all names below it too.
 * Needs a dnsmasq built with nftset, and CAP_NET_ADMIN for it.
 */
export function domainLines(ports: readonly FirewallPort[]): string[] {
  const all = ports.flatMap(({ egress }) => (egress.kind === 'listed' ? egress.domains.map(domainName) : []));
  const domains = [...new Set(all)].sort();
  if (domains.length === 0) return [];
  const sets = (domain: string) =>
    ([4, 6] as const).map((family) => `${family}#bridge#${tableName}#${named('named', domain)}_${family}`).join(',');
  return [`max-cache-ttl=${answerSeconds}`, `max-ttl=${answerSeconds}`, ...domains.map((domain) => `nftset=/${domain}/${sets(domain)}`)];
}

/**
 * Two sets: what DNS answered lately, and what was reached while it was there. dnsmasq cannot renew an element that is there still, so the first may end
 * shortly before the next answer; who goes on asking and reaching does not notice, for the second is renewed by each new connection while the first lasts.
 */
function byDomain(table: Table, domain: string): string[] {
  return ([4, 6] as const).flatMap((family) => {
    const answered = table.set(
      `${named('named', domain)}_${family}`,
      `type ipv${family}_addr; flags timeout; timeout ${namedSeconds}s; size 65535`,
      null,
    );
    const reached = table.set(`${named('reached', domain)}_${family}`, `type ipv${family}_addr; flags dynamic,timeout; size 65535`, null);
    const daddr = `${family === 4 ? 'ip' : 'ip6'} daddr`;
    return [`${daddr} @${answered} update @${reached} { ${daddr} timeout ${reachedSeconds}s } return`, `${daddr} @${reached} return`];
  });
}

/** The policies can be kept only if this is called for a dnsmasq that is able to (the "Compile time options" of `dnsmasq --version`). */
export function assertNamesCanBePinned(versionText: string): void {
  if (!/\bnftset\b/.test(versionText) || /\bno-nftset\b/i.test(versionText)) {
    throw new VivError(
      'unsupported',
      'egress by domain name needs a dnsmasq that is built with nftset (Debian 12 and newer: dnsmasq-base); this one is not',
    );
  }
}
