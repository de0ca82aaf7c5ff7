// Snapshot with memory, restore, suspend, resume and full clone of a booted VM: whole commands, in turns with libvirt's.

import type { Vm } from '../src/sdk/index.ts';
import { plainArgumentsOf } from './bare-qemu.ts';
import { type Domain, defineLike, hasLibvirt, hasVirtClone } from './libvirt.ts';
import { type Figure, median, roundsOr, wholeProcess } from './measure.ts';
import { atRest, processAtRest, type StateDirectory, viv, withStateDirectory } from './state-directory.ts';

const rounds = roundsOr(10);

const names = {
  snapshot: ['viv snapshot create, with memory', 'virsh snapshot-create-as, with memory'],
  written: ['viv snapshot create, until the memory is on disk', null],
  restore: ['viv snapshot restore', 'virsh snapshot-revert'],
  suspend: ['viv suspend', 'virsh managedsave'],
  resume: ['viv start of a suspended VM', 'virsh start of a saved domain'],
  clone: ['viv fork --full of a stopped VM', 'virt-clone of a stopped domain'],
} as const;
type Act = keyof typeof names;
type Times = Record<Act, number[]>;
const noTimes = (): Times => ({ snapshot: [], written: [], restore: [], suspend: [], resume: [], clone: [] });

export const capture = () =>
  withStateDirectory<Figure[]>(async (host) => {
    const vm = await host.client.run('tiny', { name: 'bench', networks: ['user'] });
    await atRest(vm);
    const args = plainArgumentsOf(vm.info.pid ?? 0);
    await vm.stop();
    const domain = hasLibvirt() ? defineLike(args, vm.info.memoryBytes, rootDiskOf(args)) : null;
    const clones = hasVirtClone();
    try {
      const [ours, peer] = [noTimes(), noTimes()];
      for (let round = 0; round < rounds + 1; round++) {
        // Files come into the cache in the first round.
        await ourRound(host, round === 0 ? noTimes() : ours);
        if (domain) await peerRound(domain, clones, round === 0 ? noTimes() : peer);
      }
      return (Object.keys(names) as Act[]).flatMap((act) => figuresOf(act, ours[act], peer[act]));
    } finally {
      domain?.remove();
    }
  });

async function ourRound({ client, env }: StateDirectory, times: Times): Promise<void> {
  const timed = async (act: Act, ...words: string[]) => times[act].push(await took(() => wholeProcess([viv, ...words], env)));
  await timed('clone', 'fork', 'bench', '--full', '--name', 'copy');
  await client.vm.remove({ vm: 'copy' });
  await client.vm.start({ vm: 'bench' });
  const vm = await client.vm('bench');
  await vm.exec(['true'], { waitMs: 300_000 });
  await atRest(vm);
  const from = performance.now();
  await timed('snapshot', 'snapshot', 'create', 'bench', 'bench');
  await onDisk(vm);
  times.written.push(performance.now() - from);
  await timed('restore', 'snapshot', 'restore', 'bench', 'bench');
  await client.snapshot.remove({ vm: 'bench', snapshot: 'bench' });
  await timed('suspend', 'suspend', 'bench');
  await timed('resume', 'start', 'bench');
  await client.vm.stop({ vm: 'bench' });
}

async function peerRound(domain: Domain, clones: boolean, times: Times): Promise<void> {
  const timed = async (act: Act, command: Domain['start']) =>
    times[act].push(await took(() => wholeProcess(command, process.env, 'ignore')));
  if (clones) await timed('clone', domain.clone);
  domain.removeClone();
  await wholeProcess(domain.start, process.env, 'ignore');
  await processAtRest(domain.pid());
  await timed('snapshot', domain.snapshot);
  await timed('restore', domain.restore);
  domain.removeSnapshot();
  await timed('suspend', domain.save);
  await timed('resume', domain.start);
  domain.stop();
}

const took = async (act: () => Promise<void>): Promise<number> => {
  const from = performance.now();
  await act();
  return performance.now() - from;
};

/** Waits until the memory of the newest snapshot is on disk. */
async function onDisk(vm: Vm): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if ((await vm.snapshots()).every(({ writing }) => !writing)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the memory of a snapshot of ${vm.name} is not on disk after 12 s`);
}

/** The file that the VM's QEMU writes its root disk to. */
function rootDiskOf(args: readonly string[]): string {
  const disks = args
    .filter((_, index) => args[index - 1] === '-blockdev')
    .map((word) => JSON.parse(word) as { 'node-name'?: string; filename?: string; file?: { filename?: string } });
  const file = disks.map((disk) => disk.filename ?? disk.file?.filename).find((name) => name?.endsWith('.qcow2'));
  if (file === undefined) throw new Error('the arguments of QEMU name no qcow2 file');
  return file;
}

function figuresOf(act: Act, ours: readonly number[], peer: readonly number[]): Figure[] {
  const [name, peerName] = names[act];
  const figures: Figure[] = [{ name, value: median(ours), unit: 'ms', target: null }];
  if (peerName !== null && peer.length > 0)
    figures.push(
      { name: peerName, value: median(peer), unit: 'ms', target: null },
      { name: `${name} / ${peerName}`, value: median(ours) / median(peer), unit: 'x', target: 1 },
    );
  return figures;
}
