// Security groups for reading: the table of `viv security-group ls` and the sheet of `viv security-group show`.
import type { Group } from '../../contract/security-group.ts';
import { formatTime } from './quantity.ts';
import { renderSheet, renderTable } from './table.ts';

export function groupTable(groups: readonly Group[], width: number | undefined): string[] {
  return renderTable(
    groups,
    [
      { title: 'NAME', value: ({ name }) => name, whole: true },
      { title: 'IN', value: (group) => group.in, whole: true },
      { title: 'OUT', value: ({ out }) => out, whole: true },
      { title: 'RULES', value: ({ rules }) => String(rules.length), right: true },
      { title: 'NICS', value: ({ nics }) => String(nics.length), right: true },
      ...(groups.some(({ problem }) => problem !== null) ? [{ title: 'PROBLEM', value: ({ problem }: Group) => problem ?? '' }] : []),
    ],
    width,
  );
}

export const groupSheet = (group: Group): string[] =>
  renderSheet([
    ['security group', group.name],
    ['otherwise', `in ${group.in}, out ${group.out}`],
    ['rules', group.rules],
    ['nics', group.nics.map(({ vm, nic }) => `${vm} ${nic}`)],
    ['problem', group.problem],
    ['created', formatTime(group.createdAt)],
  ]);
