// Images: what VMs are made from.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Arch, Bytes, ImageRef, Name, Text, Time } from './field.ts';
import { defineOperation } from './operation.ts';

export const ImageKind = z.enum(['disk', 'iso', 'kernel']);

export const Image = z.object({
  /** sha256 of its content description, in hex: the same content has the same digest everywhere. */
  digest: z.string(),
  /** `debian:12`; an image that lost its name to a newer one has none. */
  names: z.array(z.string()),
  /** disk: a qcow2 disk; iso: a CD; kernel: a kernel and initrd (and perhaps a disk). */
  kind: ImageKind,
  arch: Arch,
  /** Size of the disk a guest sees. */
  virtualBytes: Bytes,
  /** What it takes on the host. */
  sizeBytes: Bytes,
  /** Where it came from: a URL, `built`, `imported`. */
  source: z.string(),
  createdAt: Time,
  /** VMs made from it. */
  usedBy: z.array(z.string()),
});
export type Image = z.infer<typeof Image>;

export const CatalogEntry = z.object({
  name: z.string(),
  summary: z.string(),
  arch: z.array(Arch),
  /** build: made here from packages; download: an official image. */
  via: z.enum(['build', 'download']),
  present: z.boolean(),
});
export type CatalogEntry = z.infer<typeof CatalogEntry>;

const image = ImageRef.describe('Image name or digest');

export const list = defineOperation({
  id: 'image.list',
  method: 'GET',
  path: '/v1/images',
  permission: 'image.read',
  summary: 'List the images on this host',
  input: z.object({}),
  output: z.array(Image),
  errors: [],
  cli: { words: 'image ls', section: 'Images', prints: 'image-table' },
});

export const catalog = defineOperation({
  id: 'image.catalog',
  method: 'GET',
  path: '/v1/catalog',
  permission: 'image.read',
  summary: 'List the images that can be pulled or built by name',
  input: z.object({}),
  output: z.array(CatalogEntry),
  errors: [],
  cli: { words: 'image catalog', section: 'Images', prints: 'catalog-table' },
});

export const show = defineOperation({
  id: 'image.show',
  method: 'GET',
  path: '/v1/images/{image}',
  permission: 'image.read',
  summary: 'Show one image',
  input: z.object({ image }),
  output: Image,
  errors: [...failures.find],
  cli: { words: 'image show', section: 'Images', prints: 'image-sheet', args: ['image'] },
});

export const pull = defineOperation({
  id: 'image.pull',
  method: 'POST',
  path: '/v1/images/pull',
  permission: 'image.pull',
  task: true,
  summary: 'Fetch or build an image of the catalog, or fetch one from a URL',
  input: z.object({
    image: z.union([ImageRef, z.url({ protocol: /^https?$/ }).max(4096)]).describe('Name in the catalog, or a URL'),
    name: ImageRef.optional().describe('Name for it here'),
    project: Name.optional().describe('Project that owns it; default: the caller’s only one, or none'),
    arch: Arch.default('x86_64'),
    checksum: z
      .string()
      .regex(/^(sha256|sha512):[0-9a-f]+$/, 'a checksum is written sha256:HEX or sha512:HEX')
      .optional()
      .describe('What a URL’s content must hash to'),
    mirror: z
      .url({ protocol: /^https?$/ })
      .max(4096)
      .optional()
      .describe('Debian mirror to build from; the host’s own by default'),
    refresh: z.boolean().default(false).describe('Do it again even if it is here'),
  }),
  output: Image,
  errors: [...failures.find, 'download_failed', 'checksum', ...failures.files],
  cli: { words: 'image pull', section: 'Images', args: ['image', 'name?'] },
});

/** A recipe, as `viv image build FILE` reads it (JSON or YAML-free: the file is JSON). */
export const Recipe = z.strictObject({
  name: ImageRef,
  base: ImageRef.describe('Image it starts from, such as debian:12'),
  packages: z.array(z.string().regex(/^[a-z0-9][a-z0-9.+-]*$/, 'a package name is made of a-z, 0-9, +, - and .')).default([]),
  files: z
    .array(
      z.strictObject({
        path: Text.regex(/^\//, 'a path inside is absolute'),
        content: Text,
        mode: z
          .string()
          .regex(/^0?[0-7]{3,4}$/)
          .default('0644'),
      }),
    )
    .default([]),
  commands: z.array(Text).default([]).describe('Shell commands run inside, in order'),
  diskBytes: Bytes.optional(),
});
export type Recipe = z.infer<typeof Recipe>;

export const build = defineOperation({
  id: 'image.build',
  method: 'POST',
  path: '/v1/images/build',
  permission: 'image.build',
  task: true,
  summary: 'Build an image from a recipe: base, packages, files, commands',
  input: z.object({
    recipe: Recipe,
    project: Name.optional().describe('Project that owns it; default: the caller’s only one, or none'),
    timeoutMs: z.int().min(1000).max(14_400_000).default(1_800_000),
  }),
  output: Image,
  errors: [...failures.find, ...failures.files, ...failures.start, ...failures.guest],
  cli: { words: 'image build', section: 'Images', custom: true },
});

export const importFile = defineOperation({
  id: 'image.import',
  method: 'POST',
  path: '/v1/images/import',
  permission: 'host.files',
  task: true,
  summary: 'Make an image from a local qcow2, raw or ISO file',
  input: z.object({
    path: Text.regex(/^\//, 'the path is absolute').max(4096).describe('File on the host'),
    name: ImageRef.describe('Name for it'),
    project: Name.optional().describe('Project that owns it; default: the caller’s only one, or none'),
    format: z.enum(['qcow2', 'raw', 'iso']).optional().describe('Told from its content by default'),
    arch: Arch.default('x86_64'),
    firmware: z.enum(['bios', 'uefi']).default('bios'),
    cloudInit: z
      .boolean()
      .default(true)
      .describe('Whether cloud-init on the disk is given a seed: users, keys, user data, the guest agent'),
  }),
  output: Image,
  errors: [...failures.find, 'name_taken', ...failures.files],
  cli: {
    words: 'image import',
    section: 'Images',
    args: ['path', 'name'],
    without: { cloudInit: 'Give cloud-init on the disk no seed: no users, keys, user data or guest agent' },
    custom: true,
  },
});

export const exportFile = defineOperation({
  id: 'image.export',
  method: 'POST',
  path: '/v1/images/{image}/export',
  permission: 'host.files',
  task: true,
  summary: 'Write an image to a local file',
  input: z.object({
    image,
    path: Text.regex(/^\//, 'the path is absolute').max(4096).describe('File on the host, which must not exist'),
    format: z.enum(['qcow2', 'raw']).default('qcow2'),
  }),
  output: z.object({ path: z.string(), sizeBytes: Bytes }),
  errors: [...failures.find, ...failures.files],
  cli: { words: 'image export', section: 'Images', args: ['image', 'path'], custom: true },
});

export const remove = defineOperation({
  id: 'image.remove',
  method: 'DELETE',
  path: '/v1/images/{image}',
  permission: 'image.remove',
  risk: 'loss',
  worksWhenDiskFull: true,
  task: true,
  summary: 'Remove an image that no VM uses',
  input: z.object({ image }),
  output: z.object({ digest: z.string(), names: z.array(z.string()), freedBytes: Bytes }),
  errors: [...failures.find, 'in_use'],
  cli: { words: 'image rm', section: 'Images', args: ['image...'], confirm: 'Remove image {image}?' },
});

export const verify = defineOperation({
  id: 'image.verify',
  method: 'POST',
  path: '/v1/images/{image}/verify',
  permission: 'image.verify',
  worksWhenDiskFull: true,
  task: true,
  summary: 'Read an image’s files again and compare them with the checksums they were stored with',
  input: z.object({ image }),
  output: z.object({ digest: z.string(), names: z.array(z.string()), files: z.int(), bytes: Bytes }),
  errors: [...failures.find, 'corrupt'],
  cli: { words: 'image verify', section: 'Images', args: ['image...'] },
});
