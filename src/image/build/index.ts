// Which catalog images are built here, and by what.
import { VivError } from '../../contract/errors.ts';
import { buildAgentIso } from './agent-iso.ts';
import { buildDebian } from './debian.ts';
import { buildTiny } from './tiny.ts';
import type { BuildContext, BuildImage, BuiltImage } from './types.ts';

/** Name in the catalog -> its builder. */
const builders: Readonly<Record<string, BuildImage>> = {
  tiny: buildTiny,
  'debian:12': buildDebian('bookworm'),
  'debian:13': buildDebian('trixie'),
  agent: buildAgentIso,
};

/** Builds an image of the catalog into `context.staging`. Throws not_found for one that is not built here. */
export async function buildCatalogImage(name: string, context: BuildContext): Promise<BuiltImage> {
  const build = Object.hasOwn(builders, name) ? builders[name] : undefined;
  if (!build) throw new VivError('not_found', `${name} is not built here; ${Object.keys(builders).join(', ')} are`);
  return build(context);
}
