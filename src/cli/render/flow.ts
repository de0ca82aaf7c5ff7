// One connection on a line: `2026-11-21 13:47:38  drop egress   web net0 10.1.2.3:40312 -> 1.1.1.1:53 udp  its egress policy does not list ...`.
import type { Flow } from '../../contract/flow.ts';
import { formatTime } from './quantity.ts';
import { clean } from './text.ts';

const endOf = (end: Flow['from'], address: string | null, port: number | null): string => {
  const who = end?.vm ? [`${end.vm} ${end.nic}`] : end?.network ? [end.network] : [];
  const where = address === null ? [] : [port === null ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`];
  return [...who, ...where].join(' ') || '?';
};

export const flowLine = ({ occurredAt, verdict, reason, from, to, protocol, source, target, sourcePort, targetPort }: Flow): string =>
  clean(
    `${formatTime(occurredAt)}  ${verdict.padEnd(14)}  ${endOf(from, source, sourcePort)} -> ${endOf(to, target, targetPort)} ${protocol}${verdict === 'accept' ? '' : `  ${reason}`}`,
  );
