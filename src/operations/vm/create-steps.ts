// The steps that make a VM; `create` and `run` are made of them.

import { randomUUID } from 'node:crypto';
import { VivError } from '../../contract/errors.ts';
import type { VmOptions } from '../../contract/vm-options.ts';
import { vmIdentity } from '../../host/identity.ts';
import type { ForwardRecord } from '../../network/record/port-forward.ts';
import { checkSeedOptions } from '../../vm/device/cloud-init-seed.ts';
import { idWithOwnMacs } from '../../vm/device/nics.ts';
import { checkTpm } from '../../vm/device/tpm.ts';
import { makeFiles, removeFiles } from '../../vm/files.ts';
import { takenMacs, takenUids } from '../../vm/in-use.ts';
import type { VmRecord } from '../../vm/record.ts';
import { dropVm, insertVm } from '../../vm/register.ts';
import { nameTaken } from '../../vm/registry.ts';
import { checkSettings } from '../../vm/resource/check.ts';
import { newRecord } from '../../vm/spec.ts';
import type { Step } from '../handler.ts';
import { projectId } from '../project/one.ts';
import type { Services } from '../services.ts';
import { newName } from './new-name.ts';
import type { OnVm } from './one.ts';

export interface Creating extends OnVm {
  record: VmRecord;
  forwards: ForwardRecord[];
}

/** Decides everything about the new VM; nothing is made yet. @throws what does not fit */
export async function prepareCreate(options: VmOptions, services: Services): Promise<Creating> {
  const { images, vms, networks, paths } = services;
  const image = await images.find(options.image);
  const cdroms = await Promise.all(options.cdroms.map(async (name) => ({ name, image: await images.find(name) })));
  const name = options.name ?? newName((taken) => vms.nameTaken(taken));
  if (vms.nameTaken(name)) throw nameTaken(name);
  checkSeedOptions(options);
  if (image.kind === 'iso' && options.diskBytes === undefined) {
    throw new VivError(
      'invalid',
      `${options.image} is an installation CD, so the VM needs a disk to install to; give one with --disk 20GiB`,
    );
  }
  if (options.tpm) await checkTpm(options.image, image.arch);
  const id = idWithOwnMacs(takenMacs(services));
  const uid = services.ownUsers ? vmIdentity(id, takenUids(services)) : null;
  const identity = { id, name, uuid: randomUUID(), uid, createdAt: Date.now(), project: projectId(options.project, services) };
  const chosen = await networks.choice.resolve(options.networks);
  const record = newRecord({ ...options, networks: chosen }, options.image, image, cdroms, identity, paths.vm(id));
  checkSettings(record, services.resources.enforcer.hostCpus);
  return { id, name, record, forwards: await networks.forwards.checked(options.forwards, record, null) };
}

export const createSteps: readonly Step<Creating>[] = [
  {
    name: 'register the VM',
    run: async ({ record }, { services }) => {
      await insertVm(record, services);
    },
    undo: ({ id }, { services }) => dropVm(id, services),
  },
  {
    name: 'record the port forwards',
    // One begun by a version that knew none has none.
    run: async ({ forwards = [] }, { services }) => services.networks.forwards.enter(forwards),
    undo: ({ forwards = [] }, { services }) => services.networks.forwards.drop(forwards),
  },
  {
    name: 'create the disks',
    run: ({ record }, { services, signal }) => makeFiles(record, services, signal),
    undo: ({ record }, { services }) => removeFiles(record, services),
  },
  {
    name: 'complete the record',
    run: async ({ id }, { services }) => {
      const vm = services.vms.get(id);
      if (vm.record.complete) return;
      await vm.update(() => ({ complete: true }));
      services.events.record({
        type: 'vm.created',
        subject: id,
        name: vm.name,
        message: `${vm.name} was made from ${vm.record.image.name}`,
      });
    },
  },
];
