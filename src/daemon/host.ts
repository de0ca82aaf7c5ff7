// What the host can do: which accelerator works, which QEMU is installed, and how much of its memory is committed.
import { join } from 'node:path';
import { createHostFacts, type HostFacts } from '../host/facts.ts';
import { bootCacheFile } from '../host/file/boot-cache.ts';
import type { Services } from '../operations/services.ts';
import { findQemu } from '../qemu/binary.ts';
import { KvmProver, proofMarker } from '../qemu/kvm/prover.ts';
import { hostHeadroom } from '../vm/resource/headroom.ts';
import { heldBytes, isMember } from '../warm-pool/members.ts';
import type { Ground } from './ground.ts';
import { type RecordRecovery, recordProblems } from './lost-records.ts';

const kvmProofDeadlineMs = 5000;

export async function createKvmProver({ env, uid, paths }: Ground): Promise<KvmProver> {
  return new KvmProver({
    // A daemon that was given a QEMU of its own keeps the answer about it to itself.
    cacheFile: env['VIV_QEMU_X86_64'] ? join(paths.cache, 'kvm-proof.json') : await bootCacheFile('kvm-proof.json', uid, paths.cache),
    timeoutMs: kvmProofDeadlineMs,
    marker: proofMarker(paths.stateDirectory),
    ...(env['VIV_KVM_DEVICE'] ? { device: env['VIV_KVM_DEVICE'] } : {}),
  });
}

/** @param services called late, because the services contain these facts */
export function createFacts({ env, paths }: Ground, kvm: KvmProver, services: () => Services, recovery: RecordRecovery): HostFacts {
  return createHostFacts({
    paths,
    env,
    proveKvm: (again) => kvm.prove(again),
    findQemu: async (arch) => {
      const { path, version } = await findQemu(arch);
      return { path, version: version.join('.') };
    },
    committedBytes: () =>
      services()
        .vms.list()
        .reduce((sum, vm) => sum + (vm.live ? vm.record.settings.memoryBytes : 0), 0),
    warmPoolBytes: () => warmPoolBytes(services()),
    capacity: () => hostHeadroom(services()),
    networks: () => services().networks.facts(),
    recordProblems: () => [...recovery.problems(), ...recordProblems(services())],
  });
}

/** Memory that the members of all warm pools hold, in bytes. */
export const warmPoolBytes = ({ vms }: Pick<Services, 'vms'>): Promise<number> => heldBytes(vms.all().filter(isMember));
