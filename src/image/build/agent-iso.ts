// The image `agent`: a CD with the guest agent and install.sh, for systems that come without cloud-init.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MiB } from '../../contract/field.ts';
import { writeIso } from '../../host/file/iso.ts';
import { agentKit } from '../../host/guest-asset.ts';
import type { BuildContext, BuiltImage } from './types.ts';

export async function buildAgentIso(context: BuildContext): Promise<BuiltImage> {
  const iso = join(context.staging, 'agent.iso');
  await writeIso(iso, 'VIVARIUM_AGENT', await agentKit(context.arch), { signal: context.signal });
  return {
    kind: 'iso',
    arch: context.arch,
    virtualBytes: (await stat(iso)).size,
    source: 'built from the guest agent of this host',
    minMemoryBytes: null,
    firmware: null,
    ready: [],
    disk: null,
    iso: 'agent.iso',
    kernel: null,
    defaults: { memoryBytes: 512 * MiB, firmware: 'bios', cloudInit: false },
  };
}
