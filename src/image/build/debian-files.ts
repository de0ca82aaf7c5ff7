// What is written inside `debian:N`: boot loader, cloud-init, host name, initrd. Texts only.

export const rootLabel = 'vivarium-root';

/** Found by label, so that the disk may hang on any controller. No `quiet`: the serial log is what one reads when a boot fails. */
const kernelOptions = 'console=tty0 console=ttyS0,115200';

/** The first configuration; update-grub writes its own on the first kernel upgrade. */
const grubConfig = `set timeout=0
set default=0
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
search --no-floppy --label ${rootLabel} --set=root
menuentry "Debian" {
  linux /vmlinuz root=LABEL=${rootLabel} ro ${kernelOptions}
  initrd /initrd.img
}
`;

const grubDefaults = `GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="${kernelOptions}"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_DISABLE_OS_PROBER=true
`;

// Starting Python and its modules is most of cloud-init's time, more so under emulation: the lists leave out what has no meaning
// in a Debian (snap, ubuntu_*, yum, zypper), configuration systems that are not installed, and writing to GRUB's debconf.
const cloudConfig = `# Only a seed from the host is looked for; without one cloud-init still makes host keys.
datasource_list: [NoCloud, None]
manage_etc_hosts: true
apt: {preserve_sources_list: true}
preserve_hostname: false
ssh_genkeytypes: [ed25519, ecdsa]
ssh: {emit_keys_to_console: false}
no_ssh_fingerprints: true
growpart: {mode: auto, devices: [/]}
cloud_init_modules: [seed_random, bootcmd, write_files, growpart, resizefs, disk_setup, mounts, set_hostname, update_hostname, update_etc_hosts, ca_certs, rsyslog, users_groups, ssh, set_passwords]
cloud_config_modules: [ssh_import_id, keyboard, locale, apt_configure, ntp, timezone, runcmd]
cloud_final_modules: [package_update_upgrade_install, write_files_deferred, scripts_vendor, scripts_per_once, scripts_per_boot, scripts_per_instance, scripts_user, ssh_authkey_fingerprints, phone_home, final_message, power_state_change]
`;

export interface DebianFile {
  readonly path: string;
  readonly content: string;
}

export const debianFiles: readonly DebianFile[] = [
  { path: '/boot/grub/first.cfg', content: `search --no-floppy --label ${rootLabel} --set=root\nset prefix=($root)/boot/grub\n` },
  { path: '/boot/grub/grub.cfg', content: grubConfig },
  { path: '/etc/default/grub', content: grubDefaults },
  { path: '/etc/fstab', content: `LABEL=${rootLabel} / ext4 defaults,noatime,errors=remount-ro 0 1\n` },
  { path: '/etc/cloud/cloud.cfg.d/90-vivarium.cfg', content: cloudConfig },
  { path: '/etc/hostname', content: 'debian\n' },
  { path: '/etc/hosts', content: '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' },
  { path: '/etc/default/locale', content: 'LANG=C.UTF-8\n' },
  // Empty: systemd makes one at first boot, each VM its own.
  { path: '/etc/machine-id', content: '' },
  // Where no program reads its port it blocks in the middle of an answer, and would delay a shutdown by 90 s.
  { path: '/etc/systemd/system/qemu-guest-agent.service.d/vivarium.conf', content: '[Service]\nTimeoutStopSec=2\n' },
  // The drivers a root disk can hang on; an initrd with all of them takes seconds longer to load under emulation.
  { path: '/etc/initramfs-tools/conf.d/vivarium', content: 'MODULES=list\nCOMPRESS=lz4\n' },
  { path: '/etc/initramfs-tools/modules', content: 'virtio_pci\nvirtio_blk\nvirtio_scsi\nsd_mod\nahci\nnvme\next4\n' },
];

/** Units that cost boot time and have nothing to do in a VM that may live for minutes. Timers of apt stay off the first minutes only. */
export const maskedUnits = [
  'grub-common.service',
  'grub-initrd-fallback.service',
  'e2scrub_reap.service',
  'systemd-pstore.service',
  'systemd-networkd-wait-online.service',
];

export const includedPackages: readonly string[] = [
  'systemd',
  'systemd-sysv',
  'systemd-resolved',
  'libpam-systemd',
  'udev',
  'dbus',
  'init',
  'kmod',
  'initramfs-tools',
  'lz4',
  'cloud-init',
  'cloud-guest-utils',
  'e2fsprogs',
  'fdisk',
  'openssh-server',
  'qemu-guest-agent',
  'sudo',
  'ca-certificates',
  'netplan.io',
  'iproute2',
  'iputils-ping',
  'procps',
  'less',
  'nano',
  'bash-completion',
  'grub2-common',
  'grub-pc-bin',
];
