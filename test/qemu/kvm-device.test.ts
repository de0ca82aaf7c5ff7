// By which group a VM's own user may open /dev/kvm.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupThatMayOpen } from '../../src/qemu/kvm/device.ts';

for (const [says, mode, gid, group] of [
  ['everybody may open it: no group is needed', 0o20666, 105, null],
  ['its group may open it: that group is given', 0o20660, 105, 105],
  ['only root may open it: none will do', 0o20600, 0, undefined],
  ['the group root is never given', 0o20660, 0, undefined],
  ['a group that may only read will not do', 0o20640, 105, undefined],
] as const) {
  test(says, () => assert.equal(groupThatMayOpen({ mode, gid }), group));
}
