// VMs for reading: the table of `viv ls` and the sheet of `viv show`.
import type { Vm } from '../../contract/vm-state.ts';
import { formatEgress, formatRate } from './nic.ts';
import { formatBytes, formatDuration, formatTime } from './quantity.ts';
import { resourceRows } from './resource.ts';
import { type Column, renderSheet, renderTable } from './table.ts';

const columnsOf = (now: number): Column<Vm>[] => [
  { title: 'NAME', value: (vm) => vm.name, whole: true },
  { title: 'STATE', value: (vm) => (vm.activity ? `${vm.state} (${vm.activity.operation.replace(/^vm\./, '')})` : vm.state), whole: true },
  { title: 'IMAGE', value: (vm) => vm.image ?? shortDigest(vm.imageDigest) ?? '-' },
  { title: 'CPUS', value: (vm) => String(vm.cpus), right: true },
  { title: 'MEMORY', value: (vm) => formatBytes(vm.memoryBytes), right: true },
  { title: 'ADDRESS', value: (vm) => vm.nics.flatMap(({ addresses }) => addresses.slice(0, 1))[0] ?? '-' },
  { title: 'AGENT', value: agentWord },
  { title: 'UPTIME', value: (vm) => uptime(vm, now) },
];

export function vmTable(vms: readonly Vm[], width: number | undefined, now = Date.now()): string[] {
  return renderTable(vms, columnsOf(now), width, (vm) =>
    vm.stateReason && (vm.state === 'broken' || vm.state === 'paused' || vm.state === 'not-responding') ? vm.stateReason.message : null,
  );
}

export function vmSheet(vm: Vm, now = Date.now()): string[] {
  return renderSheet([
    ['name', vm.name],
    ['id', vm.id],
    ['state', vm.state],
    ['reason', vm.stateReason ? `${vm.stateReason.message} (${formatTime(vm.stateReason.occurredAt)})` : null],
    ['in progress', vm.activity ? `${vm.activity.operation}, task ${vm.activity.task}` : null],
    ['image', vm.image === null ? '-' : vm.imageDigest ? `${vm.image} (${shortDigest(vm.imageDigest)})` : vm.image],
    ['system', `${vm.arch}, ${vm.firmware}`],
    ['cpus', String(vm.cpus)],
    ['memory', formatBytes(vm.memoryBytes)],
    ...resourceRows(vm),
    ['accelerator', vm.accelInUse && vm.accelInUse !== vm.accel ? `${vm.accelInUse} (${vm.accel})` : vm.accel],
    [
      'disks',
      vm.disks.map(
        (disk) =>
          `${disk.id}  ${disk.kind}, ${formatBytes(disk.sizeBytes)}${disk.usedBytes === null ? ', read only' : `, ${formatBytes(disk.usedBytes)} used here, ${disk.backing === null ? 'independent' : `backed by ${disk.backing}`}`}`,
      ),
    ],
    ['networks', vm.nics.map((nic) => `${nic.id}  ${[nic.network, nic.mac, ...nic.addresses, ...link(nic)].join(', ')}`)],
    ['forwards', vm.forwards],
    ['tpm', vm.tpm ? 'yes' : null],
    ['boot', vm.boot.join(', ')],
    ['restart', vm.restart],
    ['autostart', vm.autostart ? 'yes' : 'no'],
    ['removed', vm.removeOnStop ? 'when it stops' : null],
    ['snapshot policy', vm.snapshotPolicy],
    ['next start', vm.pending.length > 0 ? `changes ${vm.pending.join(', ')}` : null],
    [
      'agent',
      vm.agent.connected
        ? `answers (${[vm.agent.kind, vm.agent.version].filter(Boolean).join(' ')})`
        : vm.state === 'running'
          ? 'does not answer (yet)'
          : '-',
    ],
    ['process', vm.pid === null ? null : String(vm.pid)],
    ['created', formatTime(vm.createdAt)],
    ['running for', vm.startedAt === null || !isLive(vm) ? null : formatDuration(now - vm.startedAt)],
  ]);
}

const link = ({ up, vlan, trunk, securityGroups, egress, rateIn, rateOut }: Vm['nics'][number]): string[] => [
  ...(vlan === null ? [] : [`VLAN ${vlan}`]),
  ...(trunk.length === 0 ? [] : [`trunk of ${trunk.join(', ')}`]),
  ...(up ? [] : ['link down']),
  ...(securityGroups.length === 0 ? [] : [`security groups ${securityGroups.join(' ')}`]),
  ...(egress === null ? [] : [`egress ${formatEgress(egress)}`]),
  ...(rateIn === null ? [] : [`rate in ${formatRate(rateIn)}`]),
  ...(rateOut === null ? [] : [`rate out ${formatRate(rateOut)}`]),
];
const isLive = (vm: Vm) => vm.state === 'running' || vm.state === 'paused';
const uptime = (vm: Vm, now: number) => (isLive(vm) && vm.startedAt !== null ? formatDuration(now - vm.startedAt) : '-');
const agentWord = (vm: Vm) => (vm.agent.connected ? 'yes' : isLive(vm) ? 'no' : '-');

/** The first 12 characters, as other commands take them. */
export const shortDigest = (digest: string | null): string | null => (digest === null ? null : digest.slice(0, 12));
