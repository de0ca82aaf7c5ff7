// The host room: the only door to the operating system. It owns the start of programs (process/), files and locks (file/), what the kernel
// reports (system/), the clock, the log and the event bus. Only this room and qemu/process.ts start programs. It knows no VM.
//
//   vm, network, image ...  ──>  process/  file/  system/  clock.ts  ──>  Linux
//
// This file has every name on disk. State survives a reboot; run files (sockets, pids) need not.
import { basename, dirname, join } from 'node:path';

/** Where a host instance is (sdk/paths.ts finds it from the environment). */
type Directories = Pick<Paths, 'stateDirectory' | 'run' | 'apiSocket' | 'daemonLog'>;

export interface Paths {
  /** State: root of everything durable. */
  readonly stateDirectory: string;
  /** Sockets, pids and locks of this daemon. */
  readonly run: string;
  /** run/network/: what keeps the virtual networks, and their dnsmasqs' files. */
  readonly network: string;
  /** The daemon's API. */
  readonly apiSocket: string;
  readonly daemonLock: string;
  readonly daemonLog: string;
  readonly flowLog: string;
  readonly store: string;
  /** records.jsonl: a second copy of the store's records, from which it is rebuilt when it was lost. */
  readonly records: string;
  /** audit/: older records of the audit log, and its key. */
  readonly audit: string;
  /** tls/: the host's own certificate authority and certificate. */
  readonly tls: string;
  /** images/<digest>/ */
  readonly images: string;
  /** Further image folders, read only, shared on purpose (VIV_IMAGES, separated by colons). */
  readonly sharedImages: readonly string[];
  /** Unfinished downloads and builds; emptied of what no task owns. */
  readonly staging: string;
  /** vms/<id>/: a VM's disks, seed, serial log. */
  readonly vms: string;
  /** layers/<id>.qcow2: disks as they were at some point; they never change, and VMs and snapshots build on them. */
  readonly layers: string;
  readonly snapshots: string;
  /** checksums/<name>: what the files of snapshots were like when they were written. */
  readonly checksums: string;
  readonly cache: string;
  /** history/<VM id>, history/host: what was measured. */
  readonly history: string;
  layer(id: string): string;
  /** Where the checksums of a layer or of a snapshot's memory are. */
  checksumsOf(file: string): string;
  snapshot(id: string): SnapshotPaths;
  vm(id: string): VmPaths;
}

/** snapshots/<id>/: what a snapshot has beside its disks. */
export interface SnapshotPaths {
  readonly folder: string;
  /** State of the devices. */
  readonly devices: string;
  /** The guest's memory, sparse. */
  readonly memory: string;
  /** What its guest showed: a PNG, or text. */
  readonly thumbnail: string;
  /** What its TPM kept; not there where it had none. */
  readonly tpm: string;
}

export interface VmPaths {
  readonly state: string;
  readonly run: string;
  readonly rootDisk: string;
  readonly firmwareVars: string;
  readonly seed: string;
  readonly suspendState: string;
  /** Where QEMU writes the devices' state, and the screen, of a snapshot that is taken. */
  readonly devices: string;
  readonly screen: string;
  /** What its TPM keeps. */
  readonly tpm: string;
  readonly tpmLog: string;
  readonly serialLog: string;
  readonly qemuLog: string;
  readonly qmp: string;
  readonly serial: string;
  /** Where its memory is frozen. */
  readonly memory: string;
  readonly agent: string;
  readonly qga: string;
  readonly vnc: string;
  /** A second monitor, over which NICs are handed to it. */
  readonly nics: string;
  /** pid and start time of its QEMU, written by us. */
  readonly process: string;
}

/** Every name of a host instance. `sharedImages` come from VIV_IMAGES. */
export function pathsIn(
  { stateDirectory, run, apiSocket, daemonLog }: Directories,
  env: Readonly<Record<string, string | undefined>>,
): Paths {
  return {
    stateDirectory,
    run,
    apiSocket,
    daemonLog,
    network: join(run, 'network'),
    daemonLock: join(stateDirectory, 'daemon.lock'),
    flowLog: join(stateDirectory, 'flows.jsonl'),
    store: join(stateDirectory, 'state.db'),
    records: join(stateDirectory, 'records.jsonl'),
    audit: join(stateDirectory, 'audit'),
    tls: join(stateDirectory, 'tls'),
    images: join(stateDirectory, 'images'),
    sharedImages: (env['VIV_IMAGES'] ?? '').split(':').filter((folder) => folder !== ''),
    staging: join(stateDirectory, 'staging'),
    vms: join(stateDirectory, 'vms'),
    layers: join(stateDirectory, 'layers'),
    snapshots: join(stateDirectory, 'snapshots'),
    checksums: join(stateDirectory, 'checksums'),
    cache: join(stateDirectory, 'cache'),
    history: join(stateDirectory, 'history'),
    layer: (id) => join(stateDirectory, 'layers', `${id}.qcow2`),
    // layers/<id>.qcow2 and snapshots/<id>/memory
    checksumsOf: (file) =>
      join(stateDirectory, 'checksums', basename(file) === 'memory' ? `${basename(dirname(file))}.memory` : basename(file)),
    snapshot: (id) => {
      const folder = join(stateDirectory, 'snapshots', id);
      const file = (name: string) => join(folder, name);
      return {
        folder,
        devices: file('devices'),
        memory: file('memory'),
        thumbnail: file('thumbnail'),
        tpm: file('tpm'),
      };
    },
    vm: (id) => vmPaths(join(stateDirectory, 'vms', id), join(run, 'vms', id)),
  };
}

function vmPaths(state: string, run: string): VmPaths {
  return {
    state,
    run,
    rootDisk: join(state, 'root.qcow2'),
    firmwareVars: join(state, 'firmware-vars.qcow2'),
    seed: join(state, 'seed.iso'),
    suspendState: join(state, 'suspend.state'),
    devices: join(state, 'devices'),
    screen: join(state, 'screen'),
    tpm: join(state, 'tpm'),
    tpmLog: join(state, 'tpm.log'),
    serialLog: join(state, 'serial.log'),
    qemuLog: join(state, 'qemu.log'),
    qmp: join(run, 'qmp.sock'),
    serial: join(run, 'serial.sock'),
    memory: join(run, 'memory.sock'),
    agent: join(run, 'agent.sock'),
    qga: join(run, 'qga.sock'),
    vnc: join(run, 'vnc.sock'),
    nics: join(run, 'nics.sock'),
    process: join(run, 'process.json'),
  };
}
