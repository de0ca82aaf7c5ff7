// From options and an image to a VM's record, and from the record to what QEMU is started with. Pure.
import { VivError } from '../contract/errors.ts';
import { MiB } from '../contract/field.ts';
import type { ImageTraits } from '../contract/image.ts';
import { effective, mergeResources, ResourceSettings } from '../contract/resource.ts';
import { parseSnapshotPolicy } from '../contract/snapshot-policy.ts';
import type { VmOptions } from '../contract/vm-options.ts';
import type { BootDevice } from '../contract/vm-state.ts';
import type { VmPaths } from '../host/paths.ts';
import { machineTypeOf } from '../qemu/args/machine.ts';
import type { QemuConfig } from '../qemu/config.ts';
import { isVirtual, nicsFrom, slotsOf } from './device/nics.ts';
import type { DiskRecord, VmRecord } from './record.ts';

/** What a VM needs to know of an image (a StoredImage has all of it). */
export interface ImageFacts extends ImageTraits {
  readonly digest: string;
  readonly names: readonly string[];
  readonly kind: 'disk' | 'iso' | 'kernel';
  readonly arch: VmRecord['arch'];
  readonly virtualBytes: number;
  readonly diskFile: string | null;
  readonly isoFile: string | null;
  readonly kernelFiles: { readonly file: string; readonly initrd: string; readonly commandLine: string } | null;
  readonly defaults: { readonly memoryBytes: number; readonly firmware: 'bios' | 'uefi'; readonly cloudInit: boolean };
}

export interface Identity {
  readonly id: string;
  readonly name: string;
  readonly uuid: string;
  readonly uid: number | null;
  readonly createdAt: number;
  /** Id of the project that owns it; default: none. */
  readonly project?: string | null;
}

/** The record of a new VM. Throws `invalid` where options and image do not fit. */
export function newRecord(
  options: VmOptions,
  imageName: string,
  image: ImageFacts,
  cdroms: readonly { name: string; image: ImageFacts }[],
  identity: Identity,
  paths: VmPaths,
): VmRecord {
  const disks: DiskRecord[] = [];
  if (image.diskFile !== null) {
    const sizeBytes = options.diskBytes ?? image.virtualBytes;
    if (sizeBytes < image.virtualBytes) {
      throw new VivError(
        'invalid',
        `a disk of ${mib(sizeBytes)} is too small for ${imageName}, which needs ${mib(image.virtualBytes)}; give --disk at least that`,
      );
    }
    disks.push({ id: 'root', kind: 'root', file: paths.rootDisk, format: 'qcow2', sizeBytes, backing: image.diskFile, digest: null });
  } else if (options.diskBytes !== undefined) {
    disks.push({
      id: 'root',
      kind: 'root',
      file: paths.rootDisk,
      format: 'qcow2',
      sizeBytes: options.diskBytes,
      backing: null,
      digest: null,
    });
  }
  if (image.isoFile !== null) disks.push(cdrom(0, image));
  for (const cd of cdroms) {
    if (cd.image.isoFile === null) throw new VivError('invalid', `${cd.name} is not an ISO image, so it cannot be put into a CD drive`);
    disks.push(cdrom(disks.filter((disk) => disk.kind === 'cdrom').length, cd.image));
  }
  if (image.defaults.cloudInit) {
    disks.push({ id: 'seed', kind: 'seed', file: paths.seed, format: 'raw', sizeBytes: 0, backing: null, digest: null });
  } else if (
    [options.userData, options.userDataBase64, options.networkConfig].some((given) => given !== undefined) ||
    options.users.length > 0
  ) {
    throw new VivError('invalid', `${imageName} has no cloud-init, so user data, users and a network configuration cannot be passed to it`);
  }
  const firmware = options.firmware ?? image.defaults.firmware;
  if (firmware === 'uefi' && image.kernelFiles !== null)
    throw new VivError('invalid', `${imageName} is booted by its kernel directly, so it has no firmware to choose`);
  if (image.firmware !== null && image.firmware !== 'both' && image.firmware !== firmware)
    throw new VivError('invalid', `${imageName} does not boot with ${firmware}. Use --firmware ${image.firmware}, or leave --firmware out`);
  return {
    ...identity,
    arch: image.arch,
    complete: false,
    state: 'stopped',
    stateReason: null,
    desired: 'stopped',
    settings: {
      cpus: options.cpus,
      memoryBytes: options.memoryBytes ?? image.defaults.memoryBytes,
      accel: options.accel,
      firmware,
      boot: options.boot ?? ['disk', 'cdrom'],
      restart: options.restart,
      autostart: options.autostart,
      removeOnStop: options.removeOnStop,
      tpm: options.tpm,
      resources: mergeResources(ResourceSettings.parse({}), ResourceSettings.parse(options)),
      snapshotPolicy: options.snapshotPolicy === undefined ? null : parseSnapshotPolicy(options.snapshotPolicy),
      hostname: options.hostname ?? null,
    },
    started: null,
    image: { name: imageName, digest: image.digest, minMemoryBytes: image.minMemoryBytes, ready: image.ready },
    kernel: image.kernelFiles,
    seed: image.defaults.cloudInit
      ? {
          users: options.users,
          sshKeys: options.sshKeys,
          userData: options.userData ?? null,
          userDataBase64: options.userDataBase64 ?? null,
          networkConfig: options.networkConfig ?? null,
        }
      : null,
    disks,
    nics: nicsFrom(options.networks ?? ['user'], identity.id),
    vars: null,
    at: null,
    resumeFrom: null,
    pendingIdentity: null,
    resumedFromSuspend: false,
    forkedFrom: null,
    project: identity.project ?? null,
    warmPool: null,
    startedAt: null,
    bootId: null,
    restarts: 0,
  };
}

function cdrom(index: number, image: ImageFacts): DiskRecord {
  return {
    id: `cd${index}`,
    kind: 'cdrom',
    file: image.isoFile ?? '',
    format: 'raw',
    sizeBytes: image.virtualBytes,
    backing: null,
    digest: image.digest,
  };
}

const mib = (bytes: number) => `${Math.ceil(bytes / MiB)} MiB`;

/** The settings of its next start: a suspended VM resumes with those it was suspended with. */
export function startSettings(record: VmRecord): VmRecord['settings'] {
  if (record.state !== 'suspended' || record.started === null) return record.settings;
  const { cpus, memoryBytes, firmware, boot, tpm, accelInUse, resources } = record.started;
  return {
    ...record.settings,
    ...{ cpus, memoryBytes, firmware, boot, tpm, accel: accelInUse },
    resources: withDevices(record.settings.resources, resources),
  };
}

/** The settings that QEMU's devices and memory are made of: a saved state fits those that it was made with. */
const deviceSettings = ['maxCpus', 'cpuModel', 'cpuFeatures', 'memoryMaximumBytes', 'freePageReporting', 'hugepages', 'ksm'] as const;

const withDevices = (resources: ResourceSettings, started: ResourceSettings): ResourceSettings => ({
  ...resources,
  ...Object.fromEntries(deviceSettings.map((name) => [name, started[name]])),
});

/** Those that differ from what it was started with, and take effect at its next start. */
export const pendingDevices = (resources: ResourceSettings, started: ResourceSettings): (keyof ResourceSettings)[] =>
  deviceSettings.filter((name) => JSON.stringify(resources[name]) !== JSON.stringify(started[name]));

/** The memory that its guest is booted with; its balloon holds what is more than it has. */
export const bootMemoryBytes = ({ memoryBytes, cpus, resources }: VmRecord['settings']): number =>
  effective(resources, { cpus, memoryBytes }).memoryMaximumBytes;

/** A saved state fits a VM with a balloon if it was made by one. Huge pages cannot be discarded one by one. */
export const startBalloon = ({ state, started, settings }: VmRecord): boolean =>
  state === 'suspended' && started !== null ? started.balloon : !settings.resources.hugepages;

/** CDs in the drives of its process, or of its suspended state. */
export const cdsInUse = ({ state, started }: VmRecord) => (state === 'stopped' || state === 'broken' ? [] : (started?.cdroms ?? []));

/** A suspended VM resumes on the machine type it was suspended on. */
export const startMachineType = ({ arch, state, started }: VmRecord, version: Parameters<typeof machineTypeOf>[1]): string =>
  (state === 'suspended' && started?.machineType) || machineTypeOf(arch, version);

/** A suspended VM resumes with the CDs it had. */
export function startDisks({ state, started, disks }: VmRecord): DiskRecord[] {
  if (state !== 'suspended' || started === null) return disks;
  const cdroms = started.cdroms.map(
    ({ file, digest }, nth) => ({ id: `cd${nth}`, kind: 'cdrom', file, format: 'raw', sizeBytes: 0, backing: null, digest }) as const,
  );
  return withCdroms(disks, cdroms);
}

/** The disks with other CDs; their order stays, because it decides which port each is at. */
export const withCdroms = (disks: readonly DiskRecord[], cdroms: readonly DiskRecord[]): DiskRecord[] => [
  ...disks.filter(({ kind }) => kind === 'root' || kind === 'data'),
  ...cdroms,
  ...disks.filter(({ kind }) => kind === 'seed'),
];

/** Features that its guest has negotiated with its NICs hold while it is suspended; a new start offers neither. */
export const startOffers = ({ state, started }: VmRecord): { announces: boolean; queueReset: boolean } => ({
  announces: state === 'suspended' && started !== null && started.announces,
  queueReset: state === 'suspended' && started !== null && started.queueReset,
});

/** Whether its process has a balloon, or will have one. */
export const hasBalloon = (record: VmRecord): boolean =>
  record.state === 'running' || record.state === 'paused' ? (record.started?.balloon ?? false) : startBalloon(record);

export const hostnameOf = (record: VmRecord): string => record.settings.hostname ?? record.name;

/** What QEMU is started with. `marker` identifies the process as this VM's. */
export function qemuConfig(
  record: VmRecord,
  paths: VmPaths,
  host: {
    marker: string;
    machineType: string;
    accel: 'kvm' | 'tcg';
    firmwareCode: string | null;
    memory: 'plain' | 'layers';
    /** Descriptor that its TPM answers at. */
    tpmFd: number | null;
    incoming: boolean;
    /** The descriptor of each NIC's tap, and of the kernel's part of it where it has one. */
    taps?: ReadonlyMap<string, { fd: number; vhostFd: number | null }>;
  },
): QemuConfig {
  const settings = startSettings(record);
  const { resources } = settings;
  const order = bootOrder(settings.boot);
  let cds = 0;
  const backendOf = (nic: string) => {
    const tap = host.taps?.get(nic);
    return tap ? { type: 'tap' as const, ...tap } : { type: 'user' as const, hostname: hostnameOf(record) };
  };
  return {
    id: host.marker,
    name: record.name,
    uuid: record.uuid,
    arch: record.arch,
    machineType: host.machineType,
    accel: host.accel,
    cpus: settings.cpus,
    maxCpus: resources.maxCpus > 0 ? resources.maxCpus : null,
    cpuModel: resources.cpuModel,
    cpuFeatures: resources.cpuFeatures,
    memoryBytes: bootMemoryBytes(settings),
    balloon: startBalloon(record) ? { freePageReporting: resources.freePageReporting } : null,
    hugepages: resources.hugepages,
    ksm: resources.ksm,
    memory: host.memory,
    firmware:
      settings.firmware === 'uefi' && host.firmwareCode !== null
        ? { type: 'uefi', code: host.firmwareCode, vars: record.vars ?? paths.firmwareVars }
        : { type: 'bios' },
    kernel: record.kernel && { ...record.kernel, commandLine: `${record.kernel.commandLine} vivarium.hostname=${hostnameOf(record)}` },
    disks: startDisks(record).map((disk) => ({
      id: disk.id,
      file: disk.file,
      format: disk.format,
      // The seed is a disk: kernels made for clouds have drivers for virtio, and none for CD drives.
      media: disk.kind === 'cdrom' ? 'cdrom' : 'disk',
      readOnly: disk.kind === 'cdrom' || disk.kind === 'seed',
      bootIndex:
        record.kernel !== null || disk.kind === 'seed'
          ? null
          : disk.kind === 'cdrom'
            ? order('cdrom', cds++)
            : disk.kind === 'root'
              ? order('disk', 0)
              : null,
    })),
    nics: record.nics.map((nic, index) => ({
      id: nic.id,
      mac: nic.mac,
      backend: backendOf(nic.id),
      slot: nic.slot,
      up: nic.up,
      ...startOffers(record),
      bootIndex: record.kernel === null ? order('network', index) : null,
    })),
    sockets: { qmp: paths.qmp, serial: paths.serial, agent: paths.agent, qga: paths.qga, vnc: paths.vnc },
    serialLog: paths.serialLog,
    tpm: host.tpmFd === null ? null : { fd: host.tpmFd },
    incoming: host.incoming,
    hotplug: record.nics.some(isVirtual) ? { socket: paths.nics, slots: slotsOf(record) } : null,
  };
}

/** Device class -> boot index: 10 apart, so that several of one class keep their order. Null: not booted from. */
function bootOrder(boot: readonly (typeof BootDevice)['_output'][]): (device: 'disk' | 'cdrom' | 'network', nth: number) => number | null {
  return (device, nth) => {
    const at = boot.indexOf(device);
    return at < 0 ? null : at * 10 + nth;
  };
}
