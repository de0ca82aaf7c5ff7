// (b) From the request to start a VM until QMP says it runs, beside a bare QEMU with the same arguments, and beside libvirt.
import { bareStart, plainArgumentsOf } from './bare-qemu.ts';
import { defineLike, hasLibvirt } from './libvirt.ts';
import { type Figure, median, repeat, roundsOr, wholeProcess } from './measure.ts';
import { viv, withStateDirectory } from './state-directory.ts';

const rounds = roundsOr(10);

export const start = () =>
  withStateDirectory<Figure[]>(async ({ client, env }) => {
    // Nobody hands a bare QEMU its taps, so the VM that both start is in QEMU's own network.
    const vm = await client.create('tiny', { name: 'bench', networks: ['user'] });
    const carded = await client.create('tiny', { name: 'carded', networks: ['default'] });
    await vm.start();
    const args = plainArgumentsOf(vm.info.pid ?? 0);
    await vm.stop({ force: true });
    const domain = hasLibvirt() ? defineLike(args, vm.info.memoryBytes) : null;
    try {
      const ours: number[] = [];
      const withNic: number[] = [];
      const bare: number[] = [];
      const command: number[] = [];
      const peer: number[] = [];
      // In turns, so that a busy moment of the host falls on all of them.
      for (let round = 0; round < rounds + 1; round++) {
        const times = { ours: await repeat(1, () => vm.start(), 0), bare: [] as number[], command: [] as number[], peer: [] as number[] };
        await vm.stop({ force: true });
        const nic = await repeat(1, () => carded.start(), 0);
        await carded.stop({ force: true });
        times.bare.push(await bareStart(args));
        times.command = await repeat(1, () => wholeProcess([viv, 'start', 'bench'], env), 0);
        await vm.stop({ force: true });
        if (domain) {
          times.peer = await repeat(1, () => wholeProcess(domain.start, process.env), 0);
          domain.stop();
        }
        if (round === 0) continue; // files come into the cache
        ours.push(...times.ours);
        withNic.push(...nic);
        bare.push(...times.bare);
        command.push(...times.command);
        peer.push(...times.peer);
      }
      const figures: Figure[] = [
        { name: 'vm.start through the SDK until running', value: median(ours), unit: 'ms', target: null },
        { name: 'bare QEMU with the same arguments until running', value: median(bare), unit: 'ms', target: null },
        { name: 'above the bare QEMU', value: median(ours) - median(bare), unit: 'ms', target: 60 },
        { name: 'vm.start with a NIC in a network of ours', value: median(withNic), unit: 'ms', target: null },
        { name: 'viv start, whole process', value: median(command), unit: 'ms', target: null },
      ];
      if (domain) {
        figures.push(
          { name: 'virsh start of a domain with the same devices', value: median(peer), unit: 'ms', target: null },
          { name: 'viv start / virsh start', value: median(command) / median(peer), unit: 'x', target: 1 },
        );
      }
      return figures;
    } finally {
      domain?.remove();
    }
  });
