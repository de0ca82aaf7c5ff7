// Images: what VMs are created from.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Arch, Bytes, ImageRef, Name, Text, Time } from './field.ts';
import { defineOperation } from './operation.ts';

export const ImageKind = z.enum(['disk', 'iso', 'kernel']);

/** agent: its guest agent answers; network: its NICs have addresses and names resolve; disk: its file system fills its disk. */
export const ImageReady = z.enum(['agent', 'network', 'disk']);

/** What is known of an image's guest: measured when it is built, declared when it is imported. */
export const ImageTraits = z.object({
  minMemoryBytes: Bytes.nullable().describe('Least memory that it boots with; null: not known'),
  firmware: z.enum(['bios', 'uefi', 'both']).nullable().describe('Firmware that it boots with; null: not known'),
  ready: z.array(ImageReady).describe('What its guest reaches by itself when it has booted: agent, network, disk (grown to its size)'),
});
export type ImageTraits = z.infer<typeof ImageTraits>;

export const Image = z.object({
  digest: z.string().describe('SHA-256 of its content in hex; the same content has the same digest everywhere'),
  names: z.array(z.string()).describe('Names, such as debian:12; none for an image whose name was taken over by a newer one'),
  kind: ImageKind.describe('disk: a qcow2 disk; iso: a CD; kernel: a kernel with an initrd'),
  arch: Arch.describe('Architecture of the guest'),
  virtualBytes: Bytes.describe('Size of the disk as a guest sees it'),
  ...ImageTraits.shape,
  sizeBytes: Bytes.describe('Bytes on the host'),
  source: z.string().describe('Where it came from: a URL, built or imported'),
  createdAt: Time.describe('Time at which it was stored'),
  usedBy: z.array(z.string()).describe('Names of the VMs that use it'),
});
export type Image = z.infer<typeof Image>;

export const CatalogEntry = z.object({
  name: z.string().describe('Name to pull it by'),
  summary: z.string().describe('What it is'),
  arch: z.array(Arch).describe('Architectures it exists for'),
  via: z.enum(['build', 'download']).describe('build: built on this host from packages; download: an official image'),
  present: z.boolean().describe('Whether it is on this host'),
});
export type CatalogEntry = z.infer<typeof CatalogEntry>;

const image = ImageRef.describe('Name or digest of the image');

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
  summary: 'Show an image',
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
  summary: 'Get an image: download or build one of the catalog, or download a URL',
  input: z.object({
    image: z.union([ImageRef, z.url({ protocol: /^https?$/ }).max(4096)]).describe('Name in the catalog, or a URL'),
    name: ImageRef.optional().describe('Name of the image on this host (default: derived from the catalog or the URL)'),
    project: Name.optional().describe('Project that owns it (default: the caller’s only one, or none)'),
    arch: Arch.default('x86_64').describe('Architecture of the guest'),
    checksum: z
      .string()
      .regex(/^(sha256|sha512):[0-9a-f]+$/, 'a checksum is written sha256:HEX or sha512:HEX')
      .optional()
      .describe('Checksum that the content of a URL must have, as sha256:HEX or sha512:HEX'),
    mirror: z
      .url({ protocol: /^https?$/ })
      .max(4096)
      .optional()
      .describe('Debian mirror to build from (default: the host’s)'),
    refresh: z.boolean().default(false).describe('Get it again even if it is present'),
  }),
  output: Image,
  errors: [...failures.find, 'download_failed', 'checksum', ...failures.files],
  cli: { words: 'image pull', section: 'Images', prints: 'image-name', args: ['image', 'name?'] },
});

/** A recipe, as `viv image build FILE` reads it (JSON). */
export const Recipe = z.strictObject({
  name: ImageRef.describe('Name of the image'),
  base: ImageRef.describe('Image it starts from, such as debian:12'),
  packages: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9.+-]*$/, 'a package name is made of a-z, 0-9, +, - and .'))
    .default([])
    .describe('Packages to install'),
  files: z
    .array(
      z.strictObject({
        path: Text.regex(/^\//, 'a path in the guest is absolute').describe('Path in the guest'),
        content: Text.describe('Content'),
        mode: z
          .string()
          .regex(/^0?[0-7]{3,4}$/)
          .default('0644')
          .describe('Mode in octal'),
      }),
    )
    .default([])
    .describe('Files to create'),
  commands: z.array(Text).default([]).describe('Shell commands run in the guest, in order'),
  diskBytes: Bytes.optional().describe('Size of its disk (default: the base image’s)'),
  minMemoryBytes: Bytes.optional().describe('Least memory that it boots with (default: the base image’s)'),
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
    recipe: Recipe.describe('What to build'),
    project: Name.optional().describe('Project that owns it (default: the caller’s only one, or none)'),
    timeoutMs: z.int().min(1000).max(14_400_000).default(1_800_000).describe('How long the build may take'),
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
  summary: 'Import an image from a local qcow2, raw or ISO file',
  input: z.object({
    path: Text.regex(/^\//, 'the path is absolute').max(4096).describe('File on the host to import'),
    name: ImageRef.describe('Name of the image'),
    project: Name.optional().describe('Project that owns it (default: the caller’s only one, or none)'),
    format: z.enum(['qcow2', 'raw', 'iso']).optional().describe('Format of the file (default: detected from its content)'),
    arch: Arch.default('x86_64').describe('Architecture of the guest'),
    firmware: z
      .enum(['bios', 'uefi', 'both'])
      .optional()
      .describe('Firmware it boots with; VMs with another are refused (default: bios, and none is refused)'),
    minMemoryBytes: Bytes.optional().describe('Least memory it boots with; VMs with less are refused (default: none are)'),
    ready: z
      .array(ImageReady)
      .max(3)
      .default([])
      .describe('What its guest reaches by itself, which viv run waits for: agent, network, disk'),
    cloudInit: z.boolean().default(true).describe('Whether cloud-init on the disk gets a seed: users, keys, user data, the guest agent'),
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
  summary: 'Export an image to a local file',
  input: z.object({
    image,
    path: Text.regex(/^\//, 'the path is absolute').max(4096).describe('File on the host to create; it must not exist'),
    format: z.enum(['qcow2', 'raw']).default('qcow2').describe('Format of the file'),
  }),
  output: z.object({ path: z.string().describe('File that was written'), sizeBytes: Bytes.describe('Its size') }),
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
  output: z.object({
    digest: z.string().describe('Digest it had'),
    names: z.array(z.string()).describe('Names it had'),
    freedBytes: Bytes.describe('Bytes freed on the host'),
  }),
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
  summary: 'Read all files of an image and compare them with their checksums',
  input: z.object({ image }),
  output: z.object({
    digest: z.string().describe('Digest of the image'),
    names: z.array(z.string()).describe('Names of the image'),
    files: z.int().describe('Number of files read'),
    bytes: Bytes.describe('Bytes read'),
  }),
  errors: [...failures.find, 'corrupt'],
  cli: { words: 'image verify', section: 'Images', args: ['image...'] },
});
