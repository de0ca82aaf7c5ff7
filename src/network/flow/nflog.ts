// Parses what the rules log to the NFLOG group: each new connection with its verdict, as pcap with link type NFLOG (written by the flow recorder).
import type { FlowVerdict } from '../../contract/flow.ts';
import { verdicts } from '../firewall/verdict.ts';

export interface Flow {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly verdict: FlowVerdict;
  /** Indexes of the interfaces it came in by and would leave by: ports for bridged traffic, bridges for routed traffic. */
  readonly fromIndex: number | null;
  readonly toIndex: number | null;
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'arp' | 'other';
  /** Addresses; ARP: the sender's and the target's. Null: the frame has none. */
  readonly source: string | null;
  readonly target: string | null;
  readonly sourcePort: number | null;
  readonly targetPort: number | null;
}

/** Magic numbers of pcap, with the resolution of their time stamps. */
const fractions = new Map([
  [0xa1b2c3d4, 1_000_000],
  [0xa1b23c4d, 1_000_000_000],
]);
const linkTypeNflog = 239;
/** Of one packet: tcpdump's own limit. */
const maxPacketBytes = 262_144;

/** @throws where the bytes are not such a capture */
export async function* parseFlows(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Flow> {
  let rest = Buffer.alloc(0);
  let header: { little: boolean; fraction: number } | null = null;
  for await (const chunk of bytes) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    if (header === null) {
      if (rest.length < 24) continue;
      header = captureHeader(rest);
      rest = rest.subarray(24);
    }
    const number = (at: number) => (header?.little ? rest.readUInt32LE(at) : rest.readUInt32BE(at));
    while (rest.length >= 16) {
      const length = number(8);
      if (length > maxPacketBytes) throw new Error(`the flow record is damaged: a packet of ${length} bytes`);
      if (rest.length < 16 + length) break;
      const at = number(0) * 1000 + Math.floor((number(4) * 1000) / header.fraction);
      const flow = parseFlow(at, rest.subarray(16, 16 + length), header.little);
      rest = rest.subarray(16 + length);
      if (flow) yield flow;
    }
  }
}

function captureHeader(bytes: Buffer): { little: boolean; fraction: number } {
  for (const little of [true, false]) {
    const number = (at: number) => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
    const fraction = fractions.get(number(0));
    if (fraction !== undefined && (number(20) & 0xffff) === linkTypeNflog) return { little, fraction };
  }
  throw new Error('the flow record is not a capture of an NFLOG group');
}

/** NFLOG attributes (linux/netfilter/nfnetlink_log.h): length and type in host byte order, values in network byte order. */
const attribute = { packetHeader: 1, inIndex: 4, outIndex: 5, physicalInIndex: 6, physicalOutIndex: 7, payload: 9, prefix: 10 } as const;

function parseFlow(at: number, packet: Buffer, little: boolean): Flow | null {
  const found = new Map<number, Buffer>();
  for (let from = 4; from + 4 <= packet.length; ) {
    const length = little ? packet.readUInt16LE(from) : packet.readUInt16BE(from);
    const type = little ? packet.readUInt16LE(from + 2) : packet.readUInt16BE(from + 2);
    if (length < 4 || from + length > packet.length) break;
    found.set(type & 0x7fff, packet.subarray(from + 4, from + length));
    from += (length + 3) & ~3;
  }
  const prefix = found.get(attribute.prefix)?.toString('latin1').replace(/\0.*$/s, '').trim() ?? '';
  const verdict = prefix.replace(/^viv /, '') as FlowVerdict;
  if (!prefix.startsWith('viv ') || !Object.hasOwn(verdicts, verdict)) return null;
  const index = (...types: number[]) =>
    types
      .map((type) => found.get(type))
      .find((value) => value?.length === 4)
      ?.readUInt32BE(0) ?? null;
  const kind = found.get(attribute.packetHeader);
  return {
    at,
    verdict,
    fromIndex: index(attribute.physicalInIndex, attribute.inIndex),
    toIndex: index(attribute.physicalOutIndex, attribute.outIndex),
    ...parties(kind && kind.length >= 2 ? kind.readUInt16BE(0) : 0, found.get(attribute.payload) ?? Buffer.alloc(0)),
  };
}

type Parties = Pick<Flow, 'protocol' | 'source' | 'target' | 'sourcePort' | 'targetPort'>;

function parties(etherType: number, data: Buffer): Parties {
  const none: Parties = { protocol: 'other', source: null, target: null, sourcePort: null, targetPort: null };
  if (etherType === 0x0806 && data.length >= 28) return { ...none, protocol: 'arp', source: four(data, 14), target: four(data, 24) };
  if (etherType === 0x0800 && data.length >= 20) {
    return { ...none, source: four(data, 12), target: four(data, 16), ...service(data[9] ?? 0, data, ((data[0] ?? 0) & 15) * 4) };
  }
  if (etherType === 0x86dd && data.length >= 40)
    return { ...none, source: six(data, 8), target: six(data, 24), ...service(data[6] ?? 0, data, 40) };
  return none;
}

function service(protocol: number, data: Buffer, at: number): Partial<Parties> {
  if (protocol === 1 || protocol === 58) return { protocol: 'icmp' };
  const name = { 6: 'tcp', 17: 'udp' }[protocol] as 'tcp' | 'udp' | undefined;
  if (!name) return {};
  return data.length < at + 4
    ? { protocol: name }
    : { protocol: name, sourcePort: data.readUInt16BE(at), targetPort: data.readUInt16BE(at + 2) };
}

function four(data: Buffer, at: number): string {
  return [...data.subarray(at, at + 4)].join('.');
}

/** With the longest run of zeros compressed (RFC 5952). */
function six(data: Buffer, at: number): string {
  const words = Array.from({ length: 8 }, (_, index) => data.readUInt16BE(at + index * 2).toString(16)).join(':');
  const runs = [...words.matchAll(/\b0(?::0)+\b/g)].sort((one, other) => other[0].length - one[0].length);
  const [longest] = runs;
  if (!longest) return words;
  const [head, tail] = [words.slice(0, longest.index), words.slice(longest.index + longest[0].length)];
  return `${head.replace(/:$/, '')}::${tail.replace(/^:/, '')}`;
}
