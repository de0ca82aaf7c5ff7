// The CPU model and how many vCPUs there are. Pure.
import type { QemuConfig } from '../config.ts';
import { json } from './json.ts';

/**
 * The levels of the x86-64 psABI as QEMU's oldest 64-bit model with the features of each level added; QEMU has no models for them.
 * (x86-64-ABI, "Micro-Architecture Levels".)
 */
const v2 = ['cx16', 'lahf-lm', 'popcnt', 'sse4.1', 'sse4.2', 'ssse3'];
const v3 = [...v2, 'avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe', 'xsave'];
const v4 = [...v3, 'avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl'];
const levels: Readonly<Record<string, readonly string[]>> = { 'x86-64-v1': [], 'x86-64-v2': v2, 'x86-64-v3': v3, 'x86-64-v4': v4 };

type Cpus = Pick<QemuConfig, 'arch' | 'accel' | 'cpus' | 'maxCpus' | 'cpuModel' | 'cpuFeatures'>;

/** QEMU's name of the model. `default` is all that the accelerator can give. */
const modelOf = ({ accel, cpuModel }: Cpus): string => {
  if (cpuModel === 'default' || (cpuModel === 'host' && accel === 'tcg')) return accel === 'kvm' ? 'host' : 'max';
  return cpuModel in levels ? 'qemu64' : cpuModel;
};

/** Emulation has no AVX-512 (QEMU's docs/system/i386/tcg.rst lists what it has). */
export const isEmulable = (cpuModel: string): boolean => cpuModel !== 'x86-64-v4';

export function cpuArguments(cpus: Cpus): string[] {
  const { cpuModel, cpuFeatures, maxCpus } = cpus;
  const features = [
    ...(levels[cpuModel] ?? []).map((feature) => `${feature}=on`),
    ...cpuFeatures.map((text) => `${text.slice(1)}=${text[0] === '+' ? 'on' : 'off'}`),
  ];
  // A model that was asked for is given whole, or the start fails.
  const enforce = cpuModel !== 'default' && cpuModel !== 'host' ? ['enforce=on'] : [];
  return [
    ...['-cpu', [modelOf(cpus), ...features, ...enforce].join(',')],
    // Those beyond the first are devices, so that they can be unplugged again.
    ...['-smp', maxCpus === null ? String(cpus.cpus) : `cpus=1,maxcpus=${maxCpus},sockets=1,cores=${maxCpus},threads=1`],
    ...(maxCpus === null ? [] : Array.from({ length: cpus.cpus - 1 }, (_, nth) => json('-device', cpuDevice(cpus, nth + 1))).flat()),
  ];
}

export const cpuId = (number: number): string => `cpu${number}`;

/** As `-device` and `device_add` take it. */
export const cpuDevice = (cpus: Pick<Cpus, 'arch' | 'accel' | 'cpuModel'>, number: number): Record<string, unknown> => ({
  driver: `${modelOf(cpus as Cpus)}-${cpus.arch}-cpu`,
  id: cpuId(number),
  'socket-id': 0,
  'core-id': number,
  'thread-id': 0,
});
