// An image on disk: images/<digest>/ with image.json and its files. Content-addressed, written once, shared by all VMs (a VM's disk is a
// qcow2 overlay of it). The store has no record of it.
import { z } from 'zod';
import { Arch, Bytes, Time } from '../contract/field.ts';
import { ImageKind, ImageTraits } from '../contract/image.ts';

export const ImageFile = z.object({ name: z.string(), sha256: z.string(), sizeBytes: Bytes });

/** What is known of its guest; nothing for images stored by 0.1.0. */
export const StoredTraits = z.object({
  minMemoryBytes: ImageTraits.shape.minMemoryBytes.default(null),
  firmware: ImageTraits.shape.firmware.default(null),
  ready: ImageTraits.shape.ready.default([]),
});

export const ImageManifest = z.object({
  digest: z.string(),
  names: z.array(z.string()),
  kind: ImageKind,
  arch: Arch,
  virtualBytes: Bytes,
  ...StoredTraits.shape,
  source: z.string(),
  createdAt: Time,
  files: z.array(ImageFile),
  /** File names within the folder. The disk is always qcow2 without a backing file. */
  disk: z.string().nullable(),
  iso: z.string().nullable(),
  kernel: z.object({ file: z.string(), initrd: z.string(), commandLine: z.string() }).nullable(),
  defaults: z.object({
    memoryBytes: Bytes,
    /** The firmware types that it boots with. */
    firmware: z.enum(['bios', 'uefi']),
    /** True where cloud-init reads a NoCloud seed. */
    cloudInit: z.boolean(),
  }),
});
export type ImageManifest = z.infer<typeof ImageManifest>;

/** A manifest with the absolute paths of its files. */
export interface StoredImage extends ImageManifest {
  readonly folder: string;
  readonly diskFile: string | null;
  readonly isoFile: string | null;
  readonly kernelFiles: { readonly file: string; readonly initrd: string; readonly commandLine: string } | null;
  readonly sizeBytes: number;
  /** It is in a folder of VIV_IMAGES: never changed or removed. */
  readonly shared: boolean;
}
