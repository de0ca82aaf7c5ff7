// The peer: libvirt, where it is installed and its daemon answers. A domain with the same devices as a VM of Vivarium.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Its system's daemon, or the one that LIBVIRT_DEFAULT_URI names (an ordinary user's, where there is no systemd). */
export const virsh = ['virsh', '-q', '-c', process.env['LIBVIRT_DEFAULT_URI'] ?? 'qemu:///system'] as const;

/** True where libvirt is installed and answers. */
export const hasLibvirt = () => spawnSync(virsh[0], [...virsh.slice(1), 'version'], { stdio: 'ignore' }).status === 0;

/** True where a stopped domain can be copied as well. */
export const hasVirtClone = () => spawnSync('virt-clone', ['--version'], { stdio: 'ignore' }).status === 0;

type Command = readonly [string, ...string[]];

/** The commands are whole processes, to be timed. */
export interface Domain {
  readonly name: string;
  readonly start: Command;
  /** A snapshot with memory (internal: libvirt has no other that it can restore a running domain to). */
  readonly snapshot: Command;
  readonly restore: Command;
  removeSnapshot(): void;
  /** Saves the memory and ends the process; `start` resumes it. */
  readonly save: Command;
  /** A full copy of the stopped domain. */
  readonly clone: Command;
  removeClone(): void;
  /** Of its running QEMU. */
  pid(): number;
  stop(): void;
  remove(): void;
}

/**
 * Defines a domain like the VM whose QEMU has these arguments (booted from a kernel): the same QEMU, board, accelerator, CPU and devices,
 * without what libvirt would add by itself (a balloon, a NIC's boot program, HPET).
 * @param rootDisk a qcow2 file that its disk is a copy of; without it the disk is empty
 */
export function defineLike(args: readonly string[], memoryBytes: number, rootDisk?: string): Domain {
  const after = (flag: string) => args[args.indexOf(flag) + 1] ?? '';
  const folder = mkdtempSync(join(tmpdir(), 'viv-bench-libvirt-'));
  chmodSync(folder, 0o755);
  for (const [flag, file] of [
    ['-kernel', 'vmlinuz'],
    ['-initrd', 'initrd'],
  ] as const) {
    copyFileSync(after(flag), join(folder, file));
    chmodSync(join(folder, file), 0o644);
  }
  const disk = join(folder, 'root.qcow2');
  if (rootDisk === undefined) execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', disk, '256M']);
  else execFileSync('qemu-img', ['convert', '-U', '-O', 'qcow2', rootDisk, disk]);
  chmodSync(disk, 0o666);
  const name = `viv-bench-${process.pid}`;
  const hardware = after('-accel').startsWith('kvm');
  const machineType = after('-machine').split(',')[0]?.replace(/^pc-/, '') ?? 'q35';
  const xml = `<domain type='${hardware ? 'kvm' : 'qemu'}'>
  <name>${name}</name><memory unit='b'>${memoryBytes}</memory><vcpu>1</vcpu><genid/>
  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
  <os><type arch='x86_64' machine='pc-${machineType}'>hvm</type><kernel>${folder}/vmlinuz</kernel><initrd>${folder}/initrd</initrd>
    <cmdline>${after('-append')}</cmdline></os>
  <features><acpi/><apic/><vmport state='off'/></features><cpu mode='${hardware ? 'host-passthrough' : 'maximum'}'/>
  <clock offset='utc'><timer name='rtc' tickpolicy='catchup'/><timer name='hpet' present='no'/></clock>
  <devices><emulator>${args[0]}</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${disk}'/><target dev='vda' bus='virtio'/></disk>
    <interface type='user'><model type='virtio'/><rom enabled='no'/></interface>
    <serial type='unix'><source mode='bind' path='${folder}/serial.sock'/></serial>
    <channel type='unix'><target type='virtio' name='org.vivarium.agent'/></channel>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc'><listen type='socket'/></graphics><video><model type='vga'/></video>
    <controller type='usb' model='qemu-xhci'/><input type='tablet' bus='usb'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng><panic model='isa'/><memballoon model='none'/>
  </devices></domain>`;
  chmodSync(folder, 0o777); // its QEMU, of another user, makes the serial socket
  writeFileSync(join(folder, 'domain.xml'), xml);
  execFileSync(virsh[0], [...virsh.slice(1), 'define', join(folder, 'domain.xml')], { stdio: ['ignore', 'ignore', 'inherit'] });
  const act = (verb: string, ...more: string[]) => spawnSync(virsh[0], [...virsh.slice(1), verb, ...more], { stdio: 'ignore' });
  const clone = `${name}-clone`;
  const uri = virsh[virsh.length - 1] as string;
  const removeClone = () => {
    act('undefine', clone);
    rmSync(join(folder, 'clone.qcow2'), { force: true });
  };
  return {
    name,
    start: [...virsh, 'start', name],
    snapshot: [...virsh, 'snapshot-create-as', name, 'bench'],
    restore: [...virsh, 'snapshot-revert', name, 'bench', '--running'],
    removeSnapshot: () => void act('snapshot-delete', name, 'bench'),
    save: [...virsh, 'managedsave', name],
    clone: ['virt-clone', '-q', '--connect', uri, '--original', name, '--name', clone, '--file', join(folder, 'clone.qcow2')],
    removeClone,
    pid: () => processNamed(`guest=${name}`),
    stop: () => void act('destroy', name),
    remove: () => {
      act('destroy', name);
      removeClone();
      act('undefine', name, '--managed-save', '--snapshots-metadata');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The process that has this word among its arguments. */
function processNamed(word: string): number {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(word)) return Number(entry);
    } catch {} // it has ended meanwhile
  }
  throw new Error(`there is no process with ${word} among its arguments`);
}
