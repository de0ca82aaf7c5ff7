// Which VMs a fork makes: their names, ids, users and MAC addresses. Pure.
import { VivError } from '../../contract/errors.ts';
import { newId } from '../../host/id.ts';
import { vmIdentity } from '../../host/identity.ts';
import { idWithOwnMacs } from '../device/nics.ts';
import { nameTaken } from '../registry.ts';

export interface PlannedFork {
  readonly id: string;
  readonly name: string;
  /** User of its QEMU; null when the daemon is not root. */
  readonly uid: number | null;
  readonly createdAt: number;
}

export interface ForkWish {
  /** Name of the VM that is forked. */
  readonly parent: string;
  /** What the forks are called, `{}` being the number; null: `PARENT-{}`. */
  readonly pattern: string | null;
  readonly count: number;
}

export interface Taken {
  readonly isNameTaken: (name: string) => boolean;
  /** Null when the daemon is not root. */
  readonly uids: ReadonlySet<number> | null;
  readonly macs: ReadonlySet<string>;
}

/** @param makeId a new id each time @throws name_taken, invalid */
export function planFork({ parent, pattern, count }: ForkWish, taken: Taken, createdAt: number, makeId = newId): PlannedFork[] {
  const macs = new Set(taken.macs);
  const uids = taken.uids && new Set(taken.uids);
  return namesOf(parent, pattern, count, taken.isNameTaken).map((name) => {
    const id = idWithOwnMacs(macs, makeId);
    const uid = uids && vmIdentity(id, uids);
    if (uid !== null) uids?.add(uid);
    return { id, name, uid, createdAt };
  });
}

/** Free names; numbers that are taken are skipped. @throws name_taken, invalid */
export function namesOf(parent: string, pattern: string | null, count: number, isTaken: (name: string) => boolean): string[] {
  if (pattern !== null && count === 1 && !pattern.includes('{}')) {
    if (isTaken(pattern)) throw nameTaken(pattern);
    return [pattern];
  }
  const template = pattern === null ? `${parent}-{}` : pattern.includes('{}') ? pattern : `${pattern}-{}`;
  const names: string[] = [];
  for (let number = 1; names.length < count; number++) {
    const name = template.replaceAll('{}', String(number));
    if (name.length > 63 || !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name))
      throw new VivError('invalid', `${name} is not a valid name for a VM. Give --name with {} where the number goes, such as web-{}`);
    if (!isTaken(name)) names.push(name);
  }
  return names;
}
