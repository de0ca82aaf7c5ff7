// Images for reading.
import type { CatalogEntry, Image } from '../../contract/image.ts';
import { formatBytes, formatTime } from './quantity.ts';
import { renderSheet, renderTable } from './table.ts';

/** The name it was asked for by, where it has it; else its first, or the short digest. */
export const imageName = ({ names, digest }: Image, asked?: string): string =>
  asked !== undefined && names.includes(asked) ? asked : (names[0] ?? digest.slice(0, 12));

/** Every name, a line each: each can be removed by itself. */
export const imageNames = ({ names, digest }: Image): string => (names.length === 0 ? digest.slice(0, 12) : names.join('\n'));

export function imageTable(images: readonly Image[], width: number | undefined): string[] {
  return renderTable(
    images,
    [
      { title: 'NAME', value: (image) => image.names.join(', ') || '-', whole: true },
      { title: 'DIGEST', value: (image) => image.digest.slice(0, 12), whole: true },
      { title: 'KIND', value: (image) => image.kind },
      { title: 'ARCH', value: (image) => image.arch },
      { title: 'DISK', value: (image) => formatBytes(image.virtualBytes), right: true },
      { title: 'MIN MEMORY', value: (image) => (image.minMemoryBytes === null ? '-' : formatBytes(image.minMemoryBytes)), right: true },
      { title: 'FIRMWARE', value: (image) => image.firmware ?? '-' },
      { title: 'SIZE', value: (image) => formatBytes(image.sizeBytes), right: true },
      { title: 'USED BY', value: (image) => image.usedBy.join(', ') || '-' },
    ],
    width,
  );
}

export function imageSheet(image: Image): string[] {
  return renderSheet([
    ['names', image.names.join(', ') || '-'],
    ['digest', image.digest],
    ['kind', `${image.kind}, ${image.arch}`],
    ['disk', `${formatBytes(image.virtualBytes)} seen by a guest`],
    ['size', `${formatBytes(image.sizeBytes)} on this host`],
    ['memory', image.minMemoryBytes === null ? 'least not known' : `at least ${formatBytes(image.minMemoryBytes)}`],
    ['firmware', image.firmware === null ? 'not known' : image.firmware === 'both' ? 'bios or uefi' : image.firmware],
    ['ready with', image.ready.join(', ') || 'not known'],
    ['source', image.source],
    ['created', formatTime(image.createdAt)],
    ['used by', image.usedBy.join(', ') || 'no VM'],
  ]);
}

export function catalogTable(entries: readonly CatalogEntry[], width: number | undefined): string[] {
  return renderTable(
    entries,
    [
      { title: 'NAME', value: (entry) => entry.name, whole: true },
      { title: 'HERE', value: (entry) => (entry.present ? 'yes' : 'no') },
      { title: 'VIA', value: (entry) => entry.via },
      { title: 'ARCH', value: (entry) => entry.arch.join(', ') },
      { title: 'WHAT', value: (entry) => entry.summary },
    ],
    width,
  );
}
