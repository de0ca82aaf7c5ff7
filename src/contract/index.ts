// The table of every operation. Its shape is the SDK's: operations.vm.start.
import * as audit from './audit.ts';
import * as event from './event.ts';
import * as flow from './flow.ts';
import * as forward from './forward.ts';
import * as host from './host.ts';
import * as image from './image.ts';
import * as listener from './listener.ts';
import * as network from './network.ts';
import * as nic from './nic.ts';
import type { Operation } from './operation.ts';
import * as project from './project.ts';
import * as role from './role.ts';
import * as securityGroup from './security-group.ts';
import * as session from './session.ts';
import * as snapshot from './snapshot.ts';
import * as task from './task.ts';
import * as token from './token.ts';
import * as user from './user.ts';
import * as vm from './vm.ts';
import * as warmPool from './warm-pool.ts';

export const operations = {
  host: { show: host.show, status: host.status, shutdown: host.shutdown },
  vm: {
    create: vm.create,
    run: vm.run,
    list: vm.list,
    show: vm.show,
    set: vm.set,
    rename: vm.rename,
    remove: vm.remove,
    start: vm.start,
    stop: vm.stop,
    restart: vm.restart,
    reset: vm.reset,
    pause: vm.pause,
    resume: vm.resume,
    suspend: vm.suspend,
    wait: vm.wait,
    exec: vm.exec,
    console: vm.console,
    view: vm.view,
    logs: vm.logs,
    copyIn: vm.copyIn,
    copyOut: vm.copyOut,
    fork: vm.fork,
  },
  snapshot: {
    create: snapshot.create,
    list: snapshot.list,
    show: snapshot.show,
    diff: snapshot.diff,
    thumbnail: snapshot.thumbnail,
    restore: snapshot.restore,
    remove: snapshot.remove,
    verify: snapshot.verify,
  },
  warmPool: {
    create: warmPool.create,
    list: warmPool.list,
    show: warmPool.show,
    set: warmPool.set,
    remove: warmPool.remove,
    take: warmPool.take,
    fill: warmPool.fill,
  },
  network: {
    create: network.create,
    list: network.list,
    show: network.show,
    set: network.set,
    remove: network.remove,
    capture: network.capture,
  },
  nic: { add: nic.add, list: nic.list, set: nic.set, remove: nic.remove },
  forward: { add: forward.add, list: forward.list, remove: forward.remove },
  securityGroup: {
    create: securityGroup.create,
    list: securityGroup.list,
    show: securityGroup.show,
    allow: securityGroup.allow,
    revoke: securityGroup.revoke,
    set: securityGroup.set,
    remove: securityGroup.remove,
  },
  flow: { list: flow.list, follow: flow.follow },
  image: {
    list: image.list,
    catalog: image.catalog,
    show: image.show,
    pull: image.pull,
    build: image.build,
    import: image.importFile,
    export: image.exportFile,
    remove: image.remove,
    verify: image.verify,
  },
  task: { list: task.list, show: task.show, cancel: task.cancel, follow: task.follow },
  event: { list: event.list, follow: event.follow },
  listener: { set: listener.set, show: listener.show, remove: listener.remove },
  user: {
    create: user.create,
    list: user.list,
    show: user.show,
    set: user.set,
    remove: user.remove,
    password: user.password,
    grant: user.grant,
    revoke: user.revoke,
    totpBegin: user.totpBegin,
    totpConfirm: user.totpConfirm,
    totpRemove: user.totpRemove,
    recover: user.recover,
    can: user.can,
  },
  role: { list: role.list, show: role.show, create: role.create, set: role.set, remove: role.remove },
  project: {
    create: project.create,
    list: project.list,
    show: project.show,
    set: project.set,
    remove: project.remove,
    assign: project.assign,
    release: project.release,
  },
  token: { create: token.create, list: token.list, remove: token.remove },
  session: {
    create: session.create,
    show: session.show,
    list: session.list,
    remove: session.remove,
    redeem: session.redeem,
    ticket: session.ticket,
  },
  audit: { list: audit.list, follow: audit.follow, verify: audit.verify },
} as const;

type Nouns = typeof operations;
type Each<N> = N[keyof N];
/** The union of all operations. */
export type AnyOperation = { [N in keyof Nouns]: Each<Nouns[N]> }[keyof Nouns];
export type OperationId = AnyOperation['id'];
export type OperationById<Id extends OperationId> = Extract<AnyOperation, { id: Id }>;

export const operationList: readonly Operation[] = Object.values(operations).flatMap((noun) => Object.values(noun));
