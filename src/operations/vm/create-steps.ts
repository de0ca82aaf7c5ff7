// The steps that make a machine; `create` and `run` are made of them.
import { randomUUID } from 'node:crypto';
import { VivError } from '../../contract/errors.ts';
import type { VmOptions } from '../../contract/vm.ts';
import { machineIdentity } from '../../host/identity.ts';
import type { ForwardRecord } from '../../network/record/port-forward.ts';
import type { Step } from '../../task/handler.ts';
import { checkSeed } from '../../vm/device/cloud-init-seed.ts';
import { idWithOwnMacs } from '../../vm/device/nics.ts';
import { checkTpm } from '../../vm/device/tpm.ts';
import { makeFiles, removeFiles } from '../../vm/files.ts';
import type { MachineRecord } from '../../vm/record.ts';
import { nameTaken } from '../../vm/registry.ts';
import { newRecord } from '../../vm/spec.ts';
import type { Services } from '../services.ts';
import { newName } from './new-name.ts';
import type { OnMachine } from './one.ts';

export interface Creating extends OnMachine {
  record: MachineRecord;
  forwards: ForwardRecord[];
}

/** Decides everything about the new machine; nothing is made yet. @throws what does not fit */
export async function prepareCreate(options: VmOptions, services: Services): Promise<Creating> {
  const { images, machines } = services;
  const image = await images.find(options.image);
  const cdroms = await Promise.all(options.cdroms.map(async (name) => ({ name, image: await images.find(name) })));
  const name = options.name ?? newName((taken) => machines.nameTaken(taken));
  if (machines.nameTaken(name)) throw nameTaken(name);
  if (options.userData !== undefined) checkSeed(options.userData);
  if (image.kind === 'iso' && options.diskBytes === undefined) {
    throw new VivError(
      'invalid',
      `${options.image} is an installation CD, so the machine needs a disk to install to; give one with --disk 20GiB`,
    );
  }
  if (options.tpm) await checkTpm(options.image, image.arch);
  const id = idWithOwnMacs(machines.macs());
  const uid = machines.host.ownUsers ? machineIdentity(id, machines.uids()) : null;
  const identity = { id, name, uuid: randomUUID(), uid, createdAt: Date.now() };
  const networks = await machines.networks.chosen(options.networks);
  const record = newRecord({ ...options, networks }, options.image, image, cdroms, identity, machines.host.paths.vm(id));
  return { id, name, record, forwards: await machines.networks.forwards.checked(options.forwards, record, null) };
}

export const createSteps: readonly Step<Creating>[] = [
  {
    name: 'reserve its name',
    run: async ({ record }, { services }) => {
      await services.machines.insert(record);
    },
    undo: ({ id }, { services }) => services.machines.drop(id),
  },
  {
    name: 'enter its forwards',
    // One begun by a version that knew none has none.
    run: async ({ forwards = [] }, { services }) => services.machines.networks.forwards.enter(forwards),
    undo: ({ forwards = [] }, { services }) => services.machines.networks.forwards.drop(forwards),
  },
  {
    name: 'make its disks',
    run: ({ record }, { services, signal }) => makeFiles(record, services.machines.host, signal),
    undo: ({ record }, { services }) => removeFiles(record, services.machines.host),
  },
  {
    name: 'enter it',
    run: async ({ id }, { services }) => {
      const machine = services.machines.get(id);
      if (machine.record.complete) return;
      await machine.update(() => ({ complete: true }));
      services.events.record({
        type: 'vm.created',
        subject: id,
        name: machine.name,
        message: `${machine.name} was made from ${machine.record.image.name}`,
      });
    },
  },
];
