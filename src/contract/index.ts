// The table of every operation. Its shape is the SDK's: operations.vm.start. Its order is that of help and documents: what is needed most comes first.

import * as alert from './alert.ts';
import * as audit from './audit.ts';
import * as event from './event.ts';
import * as explain from './explain.ts';
import * as flow from './flow.ts';
import * as forward from './forward.ts';
import * as host from './host.ts';
import * as image from './image.ts';
import * as listener from './listener.ts';
import * as metrics from './metrics.ts';
import * as network from './network.ts';
import * as nic from './nic.ts';
import type { Operation } from './operation.ts';
import * as project from './project.ts';
import * as role from './role.ts';
import * as securityGroup from './security-group.ts';
import * as session from './session.ts';
import * as snapshot from './snapshot.ts';
import * as stats from './stats.ts';
import * as task from './task.ts';
import * as ticket from './ticket.ts';
import * as token from './token.ts';
import * as top from './top.ts';
import * as user from './user.ts';
import * as vm from './vm.ts';
import * as warmPool from './warm-pool.ts';

export const operations = {
  vm: {
    run: vm.run,
    create: vm.create,
    list: vm.list,
    show: vm.show,
    start: vm.start,
    stop: vm.stop,
    restart: vm.restart,
    pause: vm.pause,
    resume: vm.resume,
    suspend: vm.suspend,
    reset: vm.reset,
    set: vm.set,
    explain: explain.explain,
    rename: vm.rename,
    remove: vm.remove,
    wait: vm.wait,
    exec: vm.exec,
    console: vm.console,
    view: vm.view,
    screen: vm.screen,
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
    verify: snapshot.verify,
    remove: snapshot.remove,
  },
  warmPool: {
    create: warmPool.create,
    list: warmPool.list,
    show: warmPool.show,
    set: warmPool.set,
    take: warmPool.take,
    fill: warmPool.fill,
    remove: warmPool.remove,
  },
  network: {
    list: network.list,
    create: network.create,
    show: network.show,
    set: network.set,
    remove: network.remove,
    capture: network.capture,
  },
  nic: { add: nic.add, list: nic.list, set: nic.set, remove: nic.remove },
  forward: { add: forward.add, list: forward.list, remove: forward.remove },
  securityGroup: {
    list: securityGroup.list,
    create: securityGroup.create,
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
    pull: image.pull,
    build: image.build,
    import: image.importFile,
    export: image.exportFile,
    show: image.show,
    verify: image.verify,
    remove: image.remove,
  },
  host: { shutdown: host.shutdown, status: host.status, show: host.show },
  top: { show: top.show, follow: top.follow },
  stats: { show: stats.show },
  metrics: { show: metrics.show },
  alert: {
    list: alert.list,
    create: alert.create,
    show: alert.show,
    silence: alert.silence,
    test: alert.test,
    remove: alert.remove,
  },
  task: { list: task.list, show: task.show, cancel: task.cancel, follow: task.follow, watch: task.watch },
  event: { list: event.list, follow: event.follow },
  user: {
    create: user.create,
    list: user.list,
    show: user.show,
    set: user.set,
    password: user.password,
    grant: user.grant,
    revoke: user.revoke,
    can: user.can,
    totpBegin: user.totpBegin,
    totpConfirm: user.totpConfirm,
    totpRemove: user.totpRemove,
    recover: user.recover,
    remove: user.remove,
  },
  role: { create: role.create, list: role.list, show: role.show, set: role.set, remove: role.remove },
  project: {
    create: project.create,
    list: project.list,
    show: project.show,
    set: project.set,
    assign: project.assign,
    release: project.release,
    remove: project.remove,
  },
  token: { create: token.create, list: token.list, remove: token.remove },
  session: {
    create: session.create,
    whoami: session.whoami,
    list: session.list,
    remove: session.remove,
    redeem: session.redeem,
    link: session.link,
  },
  ticket: { create: ticket.create },
  audit: {
    list: audit.list,
    follow: audit.follow,
    verify: audit.verify,
    forwardList: audit.forwardList,
    forwardAdd: audit.forwardAdd,
    forwardRemove: audit.forwardRemove,
    retentionShow: audit.retentionShow,
    retentionSet: audit.retentionSet,
  },
  listener: { set: listener.set, show: listener.show, remove: listener.remove },
} as const;

type Nouns = typeof operations;
type Each<N> = N[keyof N];
/** The union of all operations. */
export type AnyOperation = { [N in keyof Nouns]: Each<Nouns[N]> }[keyof Nouns];
export type OperationId = AnyOperation['id'];
export type OperationById<Id extends OperationId> = Extract<AnyOperation, { id: Id }>;

export const operationList: readonly Operation[] = Object.values(operations).flatMap((noun) => Object.values(noun));
