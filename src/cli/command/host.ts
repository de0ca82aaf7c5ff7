// `viv host`: what this host is, with the proof of its accelerators and what is missing.

import type { Host } from '../../contract/host.ts';
import { operations } from '../../contract/index.ts';
import type { Command } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { formatBytes } from '../render/quantity.ts';
import { renderSheet } from '../render/table.ts';

export const command: Command = {
  ...shapeOf(operations.host.show),
  async run({ flags }, context) {
    const client = await context.client();
    const forget = flags['prove'] === true ? 'proving the accelerators' : 'looking at this host';
    context.screen.show('host', forget);
    const host = await client.host
      .show({ prove: flags['prove'] === true }, { signal: context.interrupts.signal })
      .finally(() => context.screen.settle('host'));
    await context.print(flags['json'] === true ? asJson(host) : hostSheet(host).join('\n'));
    return 0;
  },
};

export function hostSheet(host: Host): string[] {
  const missing = host.programs.filter((program) => !program.ok);
  return renderSheet([
    ['host', `${host.hostname}, ${host.os}`],
    ['kernel', `${host.kernel}, ${host.arch}`],
    ['cpus', `${host.cpus.count} (${host.cpus.model})`],
    [
      'memory',
      `${formatBytes(host.memory.totalBytes)}, ${formatBytes(host.memory.availableBytes)} available, ${formatBytes(host.memory.committedBytes)} given to VMs${host.memory.warmPoolBytes > 0 ? `, ${formatBytes(host.memory.warmPoolBytes)} held by warm pools` : ''}`,
    ],
    [
      'capacity',
      [
        `${formatBytes(host.capacity.givenBytes)} given of ${formatBytes(host.capacity.givableBytes)} (overcommit ratio ${host.capacity.overcommitRatio})`,
        `${formatBytes(host.capacity.reservedBytes)} reserved of ${formatBytes(host.capacity.reservableBytes)}`,
        `${host.capacity.vcpus} vCPUs on ${host.cpus.count} CPUs, ${host.capacity.reservedCpus} reserved`,
        ...host.capacity.more.map(({ like, count }) => `${count} more ${count === 1 ? 'VM' : 'VMs'} like ${like} fit`),
      ],
    ],
    [
      'storage',
      `${formatBytes(host.storage.freeBytes)} of ${formatBytes(host.storage.totalBytes)} free in ${host.storage.path}; changes are refused below ${formatBytes(host.storage.reserveBytes)}`,
    ],
    [
      'accelerators',
      host.accelerators.map(
        (proof) =>
          `${proof.name}${proof.name === host.accelerator ? ' (used)' : ''}: ${proof.works ? 'works' : 'does not work'}${proof.detail ? `, ${proof.detail}` : ''}${proof.durationMs === null ? '' : ` (${Math.round(proof.durationMs)} ms)`}`,
      ),
    ],
    ['programs', host.programs.filter((program) => program.ok).map((program) => `${program.name} ${program.version ?? ''}`.trim())],
    [
      'missing',
      missing.map(
        (program) =>
          `${program.name}${program.required ? '' : ' (optional)'}: ${program.purpose}${program.install ? `; install it with: ${program.install}` : ''}`,
      ),
    ],
    ['networks', host.networks.map((network) => `${network.name}: ${network.detail}`)],
    ['problems', host.problems],
  ]);
}
