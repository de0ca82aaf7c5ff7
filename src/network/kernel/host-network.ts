// The host's own routes, addresses and interfaces (`ip -json`), and its name servers.
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { z } from 'zod';
import { runOk } from '../../host/process/run.ts';
import { type Subnet, subnetOf } from '../address/address.ts';

/** Failures are immediate; only an overloaded host needs this long. */
const deadlineMs = 60_000;

export interface HostInterface {
  readonly name: string;
  readonly addresses: readonly string[];
  /** It is a bridge. */
  readonly isBridge: boolean;
  /** The bridge that it is a port of. */
  readonly master: string | null;
  /** It carries Ethernet frames. */
  readonly isEthernet: boolean;
  /** Administratively up, with or without a carrier. */
  readonly isUp: boolean;
}

export interface HostRoute {
  readonly subnet: Subnet;
  readonly device: string | null;
  /** The kernel created it for an address of the device. */
  readonly byKernel: boolean;
}

const Routes = z.array(
  z.object({ type: z.string().optional(), dst: z.string(), dev: z.string().optional(), protocol: z.string().optional() }),
);
const Interfaces = z.array(
  z.object({
    ifname: z.string(),
    master: z.string().optional(),
    link_type: z.string().default(''),
    flags: z.array(z.string()).default([]),
    linkinfo: z.object({ info_kind: z.string().optional() }).optional(),
    addr_info: z.array(z.object({ local: z.string().optional(), scope: z.string() })).default([]),
  }),
);

/** Routes of all tables, except default routes, blackholes and the host's own addresses. */
export async function hostRoutes(ip: string): Promise<HostRoute[]> {
  const texts = await Promise.all(
    ['-4', '-6'].map((family) =>
      runOk(ip, [family, '-json', 'route', 'show', 'table', 'all'], { timeoutMs: deadlineMs, keepBytes: 64 * 1024 * 1024 }),
    ),
  );
  return texts
    .flatMap((text) => Routes.parse(text.trim() === '' ? [] : JSON.parse(text)))
    .filter(({ dst, type }) => dst !== 'default' && (type === undefined || type === 'unicast'))
    .map(({ dst, dev, protocol }) => ({ subnet: subnetOf(dst), device: dev ?? null, byKernel: protocol === 'kernel' }))
    .filter(({ subnet }) => !isLinkLocal(subnet));
}

const isLinkLocal = ({ family, base }: Subnet): boolean => family === 6 && base >> 118n === 0b1111111010n;

/** Whether the host's IPv6 default route comes from a router advertisement: Linux drops it when forwarding is turned on (accept_ra). */
export async function learnsIpv6Routes(ip: string): Promise<boolean> {
  const text = await runOk(ip, ['-6', '-json', 'route', 'show', 'default'], { timeoutMs: deadlineMs });
  return Routes.parse(text.trim() === '' ? [] : JSON.parse(text)).some(({ protocol }) => protocol === 'ra');
}

export async function hostInterfaces(ip: string): Promise<HostInterface[]> {
  const text = await runOk(ip, ['-details', '-json', 'address', 'show'], { timeoutMs: deadlineMs, keepBytes: 64 * 1024 * 1024 });
  return Interfaces.parse(JSON.parse(text)).map(({ ifname, addr_info, linkinfo, master, link_type, flags }) => ({
    name: ifname,
    addresses: addr_info.flatMap(({ local, scope }) => (local === undefined || scope === 'link' || scope === 'host' ? [] : [local])),
    isBridge: linkinfo?.info_kind === 'bridge',
    master: master ?? null,
    isEthernet: link_type === 'ether',
    isUp: flags.includes('UP'),
  }));
}

/** Runs several commands in one `ip -batch`, which ends at the first failure. @param ip words that start it @throws ProgramFailed */
export async function runBatch(ip: readonly string[], commands: readonly string[], signal: AbortSignal): Promise<void> {
  const [program = '', ...args] = [...ip, '-batch', '-'];
  await runOk(program, args, { timeoutMs: deadlineMs, input: `${commands.join('\n')}\n`, signal });
}

/** Name servers that are reachable from the namespace: where the host asks only itself, those that systemd-resolved asks. */
export async function resolvers(): Promise<string[]> {
  for (const file of ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']) {
    const found = serversIn(await readFile(file, 'utf8').catch(() => ''));
    if (found.length > 0) return found;
  }
  return [];
}

/** Pure. */
export const serversIn = (text: string): string[] =>
  [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)]
    .map(([, address = '']) => address)
    .filter((address) => isIP(address) !== 0 && !/^(127\.|::1$|0\.0\.0\.0$|::$|fe80:)/i.test(address));
