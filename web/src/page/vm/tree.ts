// Snapshots as a tree: each with how deep it is, its children in order of time, a first child on the line of its parent.
import type { Snapshot } from '../../api/types.ts';

export interface Row {
  readonly snapshot: Snapshot;
  readonly depth: number;
}

export function treeOf(snapshots: readonly Snapshot[]): Row[] {
  const known = new Set(snapshots.map(({ id }) => id));
  const children = Map.groupBy(snapshots, ({ parent }) => (parent !== null && known.has(parent) ? parent : null));
  const rows: Row[] = [];
  const walk = (parent: string | null, depth: number) => {
    const those = [...(children.get(parent) ?? [])].sort((a, b) => a.createdAt - b.createdAt);
    // Branches first, indented; the line that goes on stays where it is.
    for (const [index, snapshot] of those.entries()) {
      const branch = those.length > 1 && index < those.length - 1;
      rows.push({ snapshot, depth: depth + (branch ? 1 : 0) });
      walk(snapshot.id, depth + (branch ? 1 : 0));
    }
  };
  walk(null, 0);
  return rows;
}
