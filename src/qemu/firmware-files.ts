// Where distributions keep UEFI firmware: the code that is shared read-only and the template of the variables.
import { VivError } from '../contract/errors.ts';
import type { Arch } from '../contract/field.ts';
import { isUsable } from '../host/file/usable.ts';

/** Debian and Ubuntu (ovmf, qemu-efi-aarch64), Fedora (edk2-ovmf), Arch (edk2). Raw images of the same size, code and variables apart. */
const places: Partial<Record<Arch, readonly (readonly [code: string, vars: string])[]>> = {
  x86_64: [
    ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
    ['/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'],
    ['/usr/share/edk2/x64/OVMF_CODE.4m.fd', '/usr/share/edk2/x64/OVMF_VARS.4m.fd'],
  ],
  aarch64: [['/usr/share/AAVMF/AAVMF_CODE.fd', '/usr/share/AAVMF/AAVMF_VARS.fd']],
};

/** @throws missing_program with the package that has it */
export async function findFirmware(arch: Arch): Promise<{ code: string; vars: string }> {
  for (const [code, vars] of places[arch] ?? []) {
    if ((await isUsable(code)) && (await isUsable(vars))) return { code, vars };
  }
  throw new VivError(
    'missing_program',
    `no UEFI firmware for ${arch} was found; install it with: apt-get install ${arch === 'aarch64' ? 'qemu-efi-aarch64' : 'ovmf'}`,
  );
}
