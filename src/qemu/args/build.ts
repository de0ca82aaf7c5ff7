// From QemuConfig to QEMU's arguments. Pure; golden files in test/golden hold what comes out.
import type { QemuConfig } from '../config.ts';
import { balloonArguments } from './balloon.ts';
import { diskArguments } from './disk.ts';
import { firmwareArguments } from './firmware.ts';
import { json } from './json.ts';
import { machineArguments } from './machine.ts';
import { nicArguments } from './nic.ts';
import { displayArguments, portArguments } from './port.ts';
import { securityArguments } from './security.ts';
import { tpmArguments } from './tpm.ts';

export function qemuArguments(config: QemuConfig): string[] {
  return [
    ...machineArguments(config),
    ...securityArguments(),
    ...firmwareArguments(config.firmware),
    ...diskArguments(config),
    ...nicArguments(config),
    ...portArguments(config),
    ...displayArguments(config),
    ...tpmArguments(config),
    ...balloonArguments(config),
    ...json('-device', { driver: 'virtio-rng-pci', id: 'rng' }),
    ...(config.arch === 'x86_64' || config.arch === 'i386'
      ? [...json('-device', { driver: 'pvpanic', id: 'panic' }), ...json('-device', { driver: 'vmgenid', id: 'generation', guid: 'auto' })]
      : []),
  ];
}
