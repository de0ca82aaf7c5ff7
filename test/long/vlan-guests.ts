// Plays VMs at their taps: writes frames as guests would, and counts what each of them hears with the 802.1Q tags that it has on
// the wire. Started by vivarium-net-tap, as QEMU is; what it is to do comes on standard input, what was heard goes out as JSON.
import { read, writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';

export interface Sending {
  readonly from: string;
  /** The frame; a label between `mark` and a full stop tells it from others. */
  readonly hex: string;
  readonly times: number;
}
export interface Play {
  /** Each VM's tap, by descriptor. */
  readonly taps: Readonly<Record<string, number>>;
  readonly sendings: readonly Sending[];
  /** It is over when each of these VMs has heard that label; whatever was sent before is there by then. */
  readonly until: readonly (readonly [vm: string, label: string])[];
  readonly deadlineMs: number;
}
/** How many frames: by label, VM, and tags from the outside in (`none`, `5`, `5/6`). */
export type Heard = Record<string, Record<string, Record<string, number>>>;
export interface Played {
  readonly heard: Heard;
  /** What was waited for in vain. */
  readonly missing: readonly string[];
}

export const mark = 'a frame of ';
const labelIn = new RegExp(`${mark}([^.]*)\\.`);
/** What QEMU and the kernel put before each frame (linux/virtio_net.h). */
const headerBytes = 10;

/** A frame's tags, and what it is: by its label, or an answer of the network. */
function told(frame: Buffer): { tags: string; label: string } {
  const tags: number[] = [];
  let at = 12;
  for (; frame.readUInt16BE(at) === 0x8100; at += 4) tags.push(frame.readUInt16BE(at + 2) & 0xfff);
  const label = labelIn.exec(frame.toString('latin1'))?.[1];
  return { tags: tags.join('/') || 'none', label: label ?? answer(frame.readUInt16BE(at), frame.subarray(at + 2)) };
}

function answer(type: number, packet: Buffer): string {
  const address = (at: number) => [...packet.subarray(at, at + 4)].join('.');
  if (type === 0x0806 && packet.readUInt16BE(6) === 2) return `ARP answer of ${address(14)}`;
  if (type === 0x86dd && packet[6] === 58 && packet[40] === 134) return 'router advertisement';
  if (type !== 0x0800 || packet[9] !== 17) return 'other';
  const port = packet.readUInt16BE(20);
  if (port === 67) return `DHCP answer of ${address(12)}`;
  return port === 53 ? `DNS answer of ${address(12)}: ${[...packet.subarray(-4)].join('.')}` : 'other';
}

async function play({ taps, sendings, until, deadlineMs }: Play): Promise<Played> {
  const heard: Heard = {};
  const missing = new Set(until.map((pair) => pair.join(': ')));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  setTimeout(resolve, deadlineMs);
  const hear = (vm: string, frame: Buffer) => {
    const { tags, label } = told(frame);
    heard[label] ??= {};
    const counts = heard[label][vm] ?? {};
    heard[label][vm] = { ...counts, [tags]: (counts[tags] ?? 0) + 1 };
    if (missing.delete(`${vm}: ${label}`) && missing.size === 0) resolve();
  };
  const listen = (vm: string, fd: number, buffer: Buffer) =>
    read(fd, buffer, 0, buffer.length, null, (error, length) => {
      try {
        if (error) throw error;
        hear(vm, buffer.subarray(headerBytes, length));
        listen(vm, fd, buffer);
      } catch (problem) {
        reject(problem);
      }
    });
  for (const [vm, fd] of Object.entries(taps)) listen(vm, fd, Buffer.alloc(65_600));
  for (const { from, hex, times } of sendings) {
    const frame = Buffer.concat([Buffer.alloc(headerBytes), Buffer.from(hex, 'hex')]);
    for (let time = 0; time < times; time++) writeSync(taps[from] ?? -1, frame);
  }
  await promise;
  return { heard, missing: [...missing] };
}

if (process.argv[1]?.endsWith('vlan-guests.js')) {
  try {
    writeSync(1, JSON.stringify(await play(JSON.parse(await text(process.stdin)) as Play)));
  } catch (error) {
    writeSync(2, error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  // Its threads, which wait at the taps, would keep it for ever.
  process.kill(process.pid, 'SIGKILL');
}
