// A TPM 2.0: swtpm (tpm.ts) answers at the other end of a connection that QEMU inherits.
import type { QemuConfig } from '../config.ts';
import { json } from './json.ts';

/** The TPM that each machine type can have; others have none. */
const devices: Partial<Record<QemuConfig['arch'], string>> = { x86_64: 'tpm-crb', i386: 'tpm-crb', aarch64: 'tpm-tis-device' };

export const hasTpm = (arch: QemuConfig['arch']): boolean => devices[arch] !== undefined;

export function tpmArguments({ tpm, arch }: Pick<QemuConfig, 'tpm' | 'arch'>): string[] {
  const driver = devices[arch];
  if (tpm === null || driver === undefined) return [];
  return [
    ...['-chardev', `socket,id=tpm,fd=${tpm.fd}`],
    ...['-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
    ...json('-device', { driver, id: 'tpm0-dev', tpmdev: 'tpm0' }),
  ];
}
