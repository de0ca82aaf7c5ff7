// An access room on a store of its own, with a clock that stands where it is set.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { Access } from '../../src/access/access.ts';
import type { Commit } from '../../src/access/table.ts';
import type { Permission } from '../../src/contract/operation.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';

export const somePermissions: readonly Permission[] = [
  'audit.read',
  'host.manage',
  'host.read',
  'image.create',
  'image.read',
  'image.use',
  'network.change',
  'network.read',
  'network.use',
  'user.manage',
  'user.read',
  'vm.change',
  'vm.delete',
  'vm.operate',
  'vm.read',
];

export const silent = pino({ level: 'silent' });

export async function withFolder(act: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'viv-access-'));
  try {
    await act(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

export interface Opened {
  readonly access: Access;
  readonly store: Store;
  readonly commit: Commit;
  readonly clock: { at: number; now(): number };
  /** What the store says when it is opened again. */
  again(): Promise<Access>;
}

export async function withAccess(act: (opened: Opened) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const store = await openSqliteStore(join(folder, 'state.db'));
    const clock = { at: Date.UTC(2026, 11, 1), now: () => clock.at };
    const open = () => Access.open({ store, log: silent, clock, permissions: somePermissions, ownUid: 1000 });
    try {
      await act({ access: await open(), store, clock, commit: (transaction) => store.commit(transaction), again: open });
    } finally {
      await store.close();
    }
  });
}
