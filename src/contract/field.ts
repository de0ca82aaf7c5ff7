// The fields that many nouns share: names, references, sizes, times.
import { z } from 'zod';

/** A VM's name: usable as a host name, a DNS label and a file name. */
export const Name = z
  .string()
  .max(63, 'a name has at most 63 characters')
  .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, 'a name is made of a-z, 0-9 and -, and starts and ends with a letter or digit');

/** A name, an id, or a unique prefix of an id. */
export const Ref = z
  .string()
  .max(128, 'a name or id has at most 128 characters')
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]*$/, 'a name or id is made of letters, digits, dots and dashes');

/** `debian:12`, `tiny`, `my-image`, a digest, or a unique prefix of a digest. */
export const ImageRef = z
  .string()
  .max(160, 'an image name has at most 160 characters')
  .regex(/^[a-z0-9][a-z0-9._-]*(:[a-zA-Z0-9][a-zA-Z0-9._-]*)?$/, 'an image is named like tiny or debian:12');

export const Bytes = z.int().nonnegative();
/** Milliseconds since 1970. */
export const Time = z.int().nonnegative();
export const Arch = z.enum(['x86_64', 'i386', 'aarch64', 'riscv64', 'ppc64le', 's390x']);
export type Arch = z.infer<typeof Arch>;

export const MiB = 1024 * 1024;
export const GiB = 1024 * MiB;

/** A text without NUL, as guests and argument lists need it. */
export const Text = z.string().refine((text) => !text.includes('\0'), 'must not contain a NUL character');
