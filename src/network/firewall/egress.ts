// Egress policies: what a VM may reach beyond its own network. A domain name is a set that dnsmasq fills with the addresses of its answers (domainLines()),
// whose time to live is limited so that no client caches them longer than they stay in the set.
import { domainOf } from '../../contract/egress.ts';
import { VivError } from '../../contract/errors.ts';
import { subnet } from './address.ts';
import type { PortFacts } from './facts.ts';
import type { FirewallPort } from './model.ts';
import { named, tableName } from './names.ts';
import type { Table } from './ruleset.ts';

/** How long a client may cache an answer, and how long an address stays allowed after the answer and after the last new connection. */
const answerSeconds = 300;
const answeredSeconds = 900;
const reachedSeconds = 3600;

/** @returns the chain of this port's policy, which returns for allowed destinations; null: all are allowed */
export function egressChain(table: Table, port: PortFacts): string | null {
  const { egress, network } = port;
  if (egress.kind === 'all') return null;
  const cidrs =
    egress.kind === 'none' ? [] : egress.cidrs.map((text) => subnet(text, `the egress policy of port ${JSON.stringify(port.name)}`));
  const domains = egress.kind === 'none' ? [] : egress.domains.map(domainName);
  const name = named('egress', network.name, ...cidrs.map(({ text }) => text).sort(), '', ...[...domains].sort());
  if (table.chains.has(name)) return name;
  const ownLink = ['255.255.255.255/32', '224.0.0.0/24', 'fe80::/10', 'ff02::/16'].map((text) => subnet(text, 'the own link'));
  const plain = [...network.subnets, ...ownLink, ...cidrs].map(({ family, text }) => `${family === 4 ? 'ip' : 'ip6'} daddr ${text} return`);
  return table.chain(name, null, [...new Set(plain), ...domains.flatMap((domain) => byDomain(table, domain)), 'goto dropped_egress']);
}

function domainName(text: string): string {
  const name = domainOf(text);
  if (name === null) throw new VivError('invalid', `${JSON.stringify(text)} is not a valid domain name for an egress policy`);
  return name;
}

/**
 * Configuration of a network's dnsmasq for the domains in its ports' policies. A domain includes its subdomains. Needs a dnsmasq with nftset, and
 * CAP_NET_ADMIN.
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
 * Two sets: addresses of recent answers, and addresses that were reached while they were in the first set. dnsmasq cannot extend the timeout of an element,
 * so an address may leave the first set shortly before the next answer; each new connection extends the second, so that clients do not notice.
 */
function byDomain(table: Table, domain: string): string[] {
  return ([4, 6] as const).flatMap((family) => {
    const answered = table.set(
      `${named('named', domain)}_${family}`,
      `type ipv${family}_addr; flags timeout; timeout ${answeredSeconds}s; size 65535`,
      null,
    );
    const reached = table.set(`${named('reached', domain)}_${family}`, `type ipv${family}_addr; flags dynamic,timeout; size 65535`, null);
    const daddr = `${family === 4 ? 'ip' : 'ip6'} daddr`;
    return [`${daddr} @${answered} update @${reached} { ${daddr} timeout ${reachedSeconds}s } return`, `${daddr} @${reached} return`];
  });
}

/** @param versionText output of `dnsmasq --version`, with its "Compile time options" @throws unsupported */
export function assertNamesCanBePinned(versionText: string): void {
  if (!/\bnftset\b/.test(versionText) || /\bno-nftset\b/i.test(versionText)) {
    throw new VivError(
      'unsupported',
      'an egress policy with domain names needs a dnsmasq that is built with nftset, and this one is not; install dnsmasq-base of Debian 12 or newer',
    );
  }
}
