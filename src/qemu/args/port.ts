// Unix sockets by which the VM is reached: QMP, serial line, guest agents, screen. None is a TCP port.
import type { QemuConfig } from '../config.ts';
import { escaped, json } from './json.ts';

/** What QEMU's VSERPORT_CHANGE calls the port of our agent. */
export const agentPort = 'agent-port';
/** And that of qemu-guest-agent. */
export const guestAgentPort = 'qga-port';

const socket = (id: string, path: string, more = '') => ['-chardev', `socket,id=${id},path=${escaped(path)},server=on,wait=off${more}`];

export function portArguments({ sockets, serialLog, hotplug }: QemuConfig): string[] {
  return [
    ...socket('qmp', sockets.qmp),
    ...['-mon', 'chardev=qmp,mode=control'],
    ...(hotplug === null ? [] : [...socket('nics', hotplug.socket), '-mon', 'chardev=nics,mode=control']),
    // QEMU keeps the log itself, so that nothing is lost while no daemon is there.
    ...socket('serial', sockets.serial, `,logfile=${escaped(serialLog)},logappend=on`),
    ...['-serial', 'chardev:serial'],
    ...json('-device', { driver: 'virtio-serial-pci', id: 'ports' }),
    ...socket('agent', sockets.agent),
    ...json('-device', { driver: 'virtserialport', id: agentPort, bus: 'ports.0', nr: 1, chardev: 'agent', name: 'org.vivarium.agent' }),
    ...socket('qga', sockets.qga),
    ...json('-device', {
      driver: 'virtserialport',
      id: guestAgentPort,
      bus: 'ports.0',
      nr: 2,
      chardev: 'qga',
      name: 'org.qemu.guest_agent.0',
    }),
  ];
}

export function displayArguments({ sockets, arch }: QemuConfig): string[] {
  const pc = arch === 'x86_64' || arch === 'i386';
  return [
    ...['-display', 'none'],
    ...['-vnc', `unix:${escaped(sockets.vnc)}`],
    ...json('-device', { driver: pc ? 'VGA' : 'virtio-gpu-pci', id: 'screen' }),
    ...json('-device', { driver: 'qemu-xhci', id: 'usb' }),
    ...json('-device', { driver: 'usb-tablet', id: 'tablet', bus: 'usb.0' }),
    ...(pc ? [] : json('-device', { driver: 'usb-kbd', id: 'keyboard', bus: 'usb.0' })),
  ];
}
