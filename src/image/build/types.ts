// What a build of a catalog image is given and what it leaves. The builders (tiny, debian) implement BuildImage;
// operations/image/pull.ts calls them through build/index.ts and publishes what they made.
import type { Arch } from '../../contract/field.ts';
import type { ImageTraits } from '../../contract/image.ts';
import type { Progress } from '../../contract/task.ts';
import type { Paths } from '../../host/paths.ts';
import type { ImageManifest } from '../image.ts';

export interface BuildContext {
  readonly arch: Arch;
  /** Debian mirror to build from; the host's own by default. */
  readonly mirror?: string;
  /** An empty folder: the finished image's files are left here and nothing else. */
  readonly staging: string;
  readonly paths: Paths;
  /** Aborts when the build is cancelled or the daemon stops; the builder ends its programs and throws. */
  readonly signal: AbortSignal;
  progress(progress: Partial<Progress> & { message: string }): void;
  log(line: string): void;
}

/** File names are inside `staging`. The disk is qcow2 without a backing file. */
export interface BuiltImage extends ImageTraits {
  readonly kind: ImageManifest['kind'];
  readonly arch: Arch;
  readonly virtualBytes: number;
  /** For a person: `built from ...`. */
  readonly source: string;
  readonly disk: string | null;
  readonly iso: string | null;
  readonly kernel: { readonly file: string; readonly initrd: string; readonly commandLine: string } | null;
  readonly defaults: ImageManifest['defaults'];
}

export type BuildImage = (context: BuildContext) => Promise<BuiltImage>;
