// The suspended state of a VM is a snapshot that is not shown. It is removed when the VM has resumed, or discards it.
import { rm } from 'node:fs/promises';
import { collectChecksums } from '../capture/checksums.ts';
import type { VmRecord } from '../record.ts';
import type { Uses } from '../services.ts';

/** Repeatable. A snapshot that was taken on request stays. Memory that the guest has not touched is read from the open file. */
export async function discardSuspendedState(
  { resumeFrom }: Pick<VmRecord, 'resumeFrom'>,
  services: Uses<'snapshots' | 'checks' | 'paths'>,
): Promise<void> {
  const { snapshots, paths } = services;
  if (resumeFrom === null || snapshots.byId(resumeFrom)?.kind !== 'suspend') return;
  await rm(paths.snapshot(resumeFrom).folder, { recursive: true, force: true });
  await snapshots.drop(resumeFrom);
  await collectChecksums(services);
}
