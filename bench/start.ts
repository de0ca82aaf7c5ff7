// (b) From the request to start a machine until QMP says it runs, beside a bare QEMU with the same arguments, and beside libvirt.
import { argumentsOf, bareStart } from './bare-qemu.ts';
import { viv, withHome } from './home.ts';
import { defineLike, hasLibvirt } from './libvirt.ts';
import { type Figure, median, repeat, wholeProcess } from './measure.ts';

const rounds = 10;

export const start = () =>
  withHome<Figure[]>(async ({ client, env }) => {
    const vm = await client.create('tiny', { name: 'bench' });
    await vm.start();
    const args = argumentsOf(vm.info.pid ?? 0);
    await vm.stop({ force: true });
    const domain = hasLibvirt() ? defineLike(args, vm.info.memoryBytes) : null;
    try {
      const ours: number[] = [];
      const bare: number[] = [];
      const command: number[] = [];
      const peer: number[] = [];
      // In turns, so that a busy moment of the host falls on all of them.
      for (let round = 0; round < rounds + 1; round++) {
        const times = { ours: await repeat(1, () => vm.start(), 0), bare: [] as number[], command: [] as number[], peer: [] as number[] };
        await vm.stop({ force: true });
        times.bare.push(await bareStart(args));
        times.command = await repeat(1, () => wholeProcess([viv, 'start', 'bench'], env), 0);
        await vm.stop({ force: true });
        if (domain) {
          times.peer = await repeat(1, () => wholeProcess(domain.start, process.env), 0);
          domain.stop();
        }
        if (round === 0) continue; // files come into the cache
        ours.push(...times.ours);
        bare.push(...times.bare);
        command.push(...times.command);
        peer.push(...times.peer);
      }
      const figures: Figure[] = [
        { name: 'vm.start through the SDK until running', value: median(ours), unit: 'ms', target: null },
        { name: 'bare QEMU with the same arguments until running', value: median(bare), unit: 'ms', target: null },
        { name: 'above the bare QEMU', value: median(ours) - median(bare), unit: 'ms', target: 60 },
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
