// The images that are available by name: those built here from packages, and vendors' official cloud images. Addresses follow each vendor's
// layout; the checksum of a moving "latest" address is read at each pull.
import type { Arch } from '../contract/field.ts';
import { GiB, MiB } from '../contract/field.ts';
import type { ImageTraits } from '../contract/image.ts';
import type { ImageManifest } from './image.ts';

export interface Signature {
  /** Of the checksum file: the address of a detached signature, or `inline` where the file is clear-signed. */
  readonly url: string;
  readonly fingerprint: string;
  /** Where distributions install the key; the first that exists is used. */
  readonly keyrings: readonly string[];
  /** The Debian package of the keyring. */
  readonly keyringPackage: string;
}

export interface Source {
  readonly url: string;
  readonly checksum: { readonly url: string; readonly algorithm: 'sha256' | 'sha512' };
  /** Null where no distribution has the vendor's key. */
  readonly signature: Signature | null;
  readonly compression: 'xz' | 'gzip' | 'zstd' | null;
  readonly format: 'qcow2' | 'raw';
}

interface Item {
  readonly name: string;
  readonly summary: string;
}
export interface BuildItem extends Item {
  readonly via: 'build';
  readonly arch: Partial<Record<Arch, true>>;
}
export interface DownloadItem extends Item {
  readonly via: 'download';
  readonly arch: Partial<Record<Arch, Source>>;
  readonly defaults: ImageManifest['defaults'];
  readonly traits: ImageTraits;
}
export type CatalogItem = BuildItem | DownloadItem;

/** A vendor's cloud image. Its minimum memory is unknown. */
const cloud = (memoryBytes = 1 * GiB, traits: Partial<ImageTraits> = {}): Pick<DownloadItem, 'defaults' | 'traits'> => ({
  defaults: { memoryBytes, firmware: 'bios', cloudInit: true },
  traits: { minMemoryBytes: null, firmware: null, ready: ['agent', 'network'], ...traits },
});

/** `debian:12`, or `alpine` where the catalog has one tag of it. */
export function catalogItem(catalog: readonly CatalogItem[], ref: string): CatalogItem | undefined {
  const exact = catalog.find((item) => item.name === ref) ?? catalog.find((item) => item.name === `${ref}:latest`);
  if (exact || ref.includes(':')) return exact;
  const tagged = catalog.filter((item) => item.name.startsWith(`${ref}:`));
  return tagged.length === 1 ? tagged[0] : undefined;
}

function debian(version: number, codename: string): DownloadItem {
  const base = `https://cloud.debian.org/images/cloud/${codename}/latest`;
  return {
    name: `debian-cloud:${version}`,
    summary: `Debian ${version} (${codename}), the official generic cloud image`,
    via: 'download',
    ...cloud(),
    arch: {
      x86_64: {
        url: `${base}/debian-${version}-genericcloud-amd64.qcow2`,
        checksum: { url: `${base}/SHA512SUMS`, algorithm: 'sha512' },
        signature: null,
        compression: null,
        format: 'qcow2',
      },
    },
  };
}

function ubuntu(version: string, codename: string): DownloadItem {
  const base = `https://cloud-images.ubuntu.com/releases/${codename}/release`;
  return {
    name: `ubuntu:${version}`,
    summary: `Ubuntu ${version} LTS (${codename}), the official server cloud image`,
    via: 'download',
    ...cloud(),
    arch: {
      x86_64: {
        url: `${base}/ubuntu-${version}-server-cloudimg-amd64.img`,
        checksum: { url: `${base}/SHA256SUMS`, algorithm: 'sha256' },
        compression: null,
        format: 'qcow2',
        signature: {
          url: `${base}/SHA256SUMS.gpg`,
          fingerprint: 'D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81',
          keyrings: ['/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg'],
          keyringPackage: 'ubuntu-keyring',
        },
      },
    },
  };
}

function fedora(version: number, compose: string, fingerprint: string): DownloadItem {
  const base = `https://download.fedoraproject.org/pub/fedora/linux/releases/${version}/Cloud/x86_64/images`;
  return {
    name: `fedora:${version}`,
    summary: `Fedora ${version} Cloud, the official generic image`,
    via: 'download',
    ...cloud(2 * GiB),
    arch: {
      x86_64: {
        url: `${base}/Fedora-Cloud-Base-Generic-${version}-${compose}.x86_64.qcow2`,
        checksum: { url: `${base}/Fedora-Cloud-${version}-${compose}-x86_64-CHECKSUM`, algorithm: 'sha256' },
        compression: null,
        format: 'qcow2',
        signature: {
          url: 'inline',
          fingerprint,
          keyringPackage: 'distribution-gpg-keys',
          keyrings: [
            `/usr/share/distribution-gpg-keys/fedora/RPM-GPG-KEY-fedora-${version}-primary`,
            `/etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-${version}-primary`,
          ],
        },
      },
    },
  };
}

export const standardCatalog: readonly CatalogItem[] = [
  { name: 'tiny', summary: 'A Debian kernel, busybox and the guest agent; boots in seconds', via: 'build', arch: { x86_64: true } },
  {
    name: 'debian:12',
    summary: 'Debian 12 (bookworm) with systemd, cloud-init and sshd, built here from packages',
    via: 'build',
    arch: { x86_64: true },
  },
  {
    name: 'debian:13',
    summary: 'Debian 13 (trixie) with systemd, cloud-init and sshd, built here from packages',
    via: 'build',
    arch: { x86_64: true },
  },
  { name: 'agent', summary: 'A CD with the guest agent, for systems that come without cloud-init', via: 'build', arch: { x86_64: true } },
  debian(12, 'bookworm'),
  debian(13, 'trixie'),
  ubuntu('22.04', 'jammy'),
  ubuntu('24.04', 'noble'),
  fedora(43, '1.6', 'C6E7F081CF80E13146676E88829B606631645531'),
  {
    name: 'rocky:9',
    summary: 'Rocky Linux 9, the official generic cloud image',
    via: 'download',
    ...cloud(2 * GiB),
    arch: {
      x86_64: {
        url: 'https://dl.rockylinux.org/pub/rocky/9/images/x86_64/Rocky-9-GenericCloud-Base.latest.x86_64.qcow2',
        checksum: {
          url: 'https://dl.rockylinux.org/pub/rocky/9/images/x86_64/Rocky-9-GenericCloud-Base.latest.x86_64.qcow2.CHECKSUM',
          algorithm: 'sha256',
        },
        signature: null,
        compression: null,
        format: 'qcow2',
      },
    },
  },
  {
    name: 'alpine:3.23',
    summary: 'Alpine Linux 3.23, the official NoCloud image',
    via: 'download',
    ...cloud(512 * MiB, { firmware: 'bios' }),
    arch: {
      x86_64: {
        url: 'https://dl-cdn.alpinelinux.org/alpine/v3.23/releases/cloud/nocloud_alpine-3.23.4-x86_64-bios-cloudinit-r0.qcow2',
        checksum: {
          url: 'https://dl-cdn.alpinelinux.org/alpine/v3.23/releases/cloud/nocloud_alpine-3.23.4-x86_64-bios-cloudinit-r0.qcow2.sha512',
          algorithm: 'sha512',
        },
        signature: null,
        compression: null,
        format: 'qcow2',
      },
    },
  },
  {
    name: 'opensuse:15.6',
    summary: 'openSUSE Leap 15.6, the official Minimal-VM cloud image',
    via: 'download',
    ...cloud(),
    arch: {
      x86_64: {
        url: 'https://download.opensuse.org/distribution/leap/15.6/appliances/openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2',
        checksum: {
          url: 'https://download.opensuse.org/distribution/leap/15.6/appliances/openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2.sha256',
          algorithm: 'sha256',
        },
        compression: null,
        format: 'qcow2',
        signature: {
          url: 'https://download.opensuse.org/distribution/leap/15.6/appliances/openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2.sha256.asc',
          fingerprint: 'AD485664E901B867051AB15F35A2F86E29B700A4',
          keyringPackage: 'distribution-gpg-keys',
          keyrings: [
            '/usr/share/distribution-gpg-keys/opensuse/RPM-GPG-KEY-openSUSE',
            '/usr/lib/rpm/gnupg/keys/gpg-pubkey-29b700a4-62b07e22.asc',
          ],
        },
      },
    },
  },
  {
    name: 'freebsd:14',
    summary: 'FreeBSD 14.3 with its own cloud-init (nuageinit), the official image',
    via: 'download',
    ...cloud(1 * GiB, { ready: ['agent'] }),
    arch: {
      x86_64: {
        url: 'https://download.freebsd.org/releases/VM-IMAGES/14.3-RELEASE/amd64/Latest/FreeBSD-14.3-RELEASE-amd64-BASIC-CLOUDINIT-ufs.qcow2.xz',
        checksum: { url: 'https://download.freebsd.org/releases/VM-IMAGES/14.3-RELEASE/amd64/Latest/CHECKSUM.SHA512', algorithm: 'sha512' },
        signature: null,
        compression: 'xz',
        format: 'qcow2',
      },
    },
  },
];
