// Where the guest agent that goes into images lies on the host: built by scripts/build-guest.sh.
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arch } from '../../contract/field.ts';
import { VivError } from '../../contract/errors.ts';

/** @returns path of the static agent for an architecture; throws missing_program when it has not been built. */
export async function agentFile(arch: Arch): Promise<string> {
  const file = join(import.meta.dirname, '../../../.build/guest', arch, 'vivarium-agent');
  await access(file).catch((cause) => {
    throw new VivError('missing_program', `the guest agent for ${arch} has not been built (${file}); build it with: scripts/build-guest.sh`, { cause });
  });
  return file;
}
