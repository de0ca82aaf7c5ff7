// What `viv top` shows, as lines. Pure.
import type { Top, VmUse } from '../../contract/top.ts';
import { measured, sparkline } from '../render/measured.ts';
import { renderTable } from '../render/table.ts';
import { cut } from '../render/text.ts';
import { type Order, ordered } from './order.ts';

export interface TopView {
  readonly order: Order;
  readonly reverse: boolean;
  /** Columns and rows of the terminal; undefined: no terminal, nothing is cut. */
  readonly width: number | undefined;
  readonly rows: number | undefined;
}

const sparkWidth = 20;

export function topLines(stats: Top, view: TopView): string[] {
  const { host, vms } = stats;
  const { values } = host;
  const running = vms.filter(({ state }) => state === 'running').length;
  const head = [
    `CPU ${measured(values.cpuPercent, 'percent')} of ${host.cpus}  ${sparkline(host.recentCpuPercent, 100, sparkWidth)}  load ${measured(values.load, 'count')}` +
      `  waiting: CPU ${measured(values.cpuPressurePercent, 'percent')}, memory ${measured(values.memoryPressurePercent, 'percent')}, disk ${measured(values.ioPressurePercent, 'percent')}`,
    `memory ${measured(values.memoryUsedBytes, 'bytes')} used, ${measured(values.memoryCacheBytes, 'bytes')} cache, ` +
      `${measured(values.memoryAvailableBytes, 'bytes')} available of ${measured(host.memoryBytes, 'bytes')}  ` +
      `storage ${measured(values.storageFreeBytes, 'bytes')} free  VMs ${running} running of ${vms.length}`,
    '',
  ];
  const { rows } = view;
  const sorted = ordered(vms, view.order, view.reverse);
  const room = rows === undefined ? sorted.length : Math.max(0, rows - head.length - 2);
  const table = vmTable(sorted.slice(0, room), view.width);
  const hidden = sorted.length - room;
  return [
    ...head.map((line) => (view.width === undefined ? line : cut(line, view.width))),
    ...table,
    ...(hidden > 0 ? [`… ${hidden} more`] : []),
  ];
}

const vmTable = (vms: readonly VmUse[], width: number | undefined) =>
  renderTable(
    vms,
    [
      { title: 'NAME', value: ({ name }) => name, whole: true },
      { title: 'STATE', value: ({ state }) => state },
      { title: 'CPU', value: ({ values }) => measured(values.cpuPercent, 'percent'), right: true },
      { title: 'LAST MINUTE', value: ({ recentCpuPercent }) => sparkline(recentCpuPercent, 100, sparkWidth), whole: true },
      { title: 'STEAL', value: ({ values }) => measured(values.stealCores, 'cores'), right: true },
      { title: 'MEMORY', value: ({ values }) => measured(values.proportionalBytes ?? values.residentBytes, 'bytes'), right: true },
      { title: 'GUEST', value: ({ values }) => measured(values.guestUsedBytes, 'bytes'), right: true },
      { title: 'DISK READ', value: ({ values }) => measured(values.diskReadBytesPerSecond, 'bytesPerSecond'), right: true },
      { title: 'WRITE', value: ({ values }) => measured(values.diskWriteBytesPerSecond, 'bytesPerSecond'), right: true },
      { title: 'NET IN', value: ({ values }) => measured(values.networkReceiveBytesPerSecond, 'bytesPerSecond'), right: true },
      { title: 'OUT', value: ({ values }) => measured(values.networkSendBytesPerSecond, 'bytesPerSecond'), right: true },
    ],
    width,
  );
