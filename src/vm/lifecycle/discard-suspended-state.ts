// What a suspended VM sleeps at is a snapshot that nobody is shown. It goes when the VM has woken, or has given it up.
import { rm } from 'node:fs/promises';
import { collectChecksums } from '../capture/checksums.ts';
import type { VmRecord } from '../record.ts';
import type { Uses } from '../services.ts';

/** Repeatable. A snapshot that somebody made stays. What the guest has not touched yet its process reads from the file, which it has open. */
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
