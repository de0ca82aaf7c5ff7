// The table of handlers, in the order of the contract; written by `npm run operations`. An operation without a handler does not compile.

import { handler as alertCreate } from './alert/create.ts';
import { handler as alertList } from './alert/list.ts';
import { handler as alertRemove } from './alert/remove.ts';
import { handler as alertShow } from './alert/show.ts';
import { handler as alertSilence } from './alert/silence.ts';
import { handler as alertTest } from './alert/test.ts';
import { handler as auditFollow } from './audit/follow.ts';
import { handler as auditForwardAdd } from './audit/forward-add.ts';
import { handler as auditForwardList } from './audit/forward-list.ts';
import { handler as auditForwardRemove } from './audit/forward-remove.ts';
import { handler as auditList } from './audit/list.ts';
import { handler as auditRetentionSet } from './audit/retention-set.ts';
import { handler as auditRetentionShow } from './audit/retention-show.ts';
import { handler as auditVerify } from './audit/verify.ts';
import { handler as eventFollow } from './event/follow.ts';
import { handler as eventList } from './event/list.ts';
import { handler as flowFollow } from './flow/follow.ts';
import { handler as flowList } from './flow/list.ts';
import { handler as forwardAdd } from './forward/add.ts';
import { handler as forwardList } from './forward/list.ts';
import { handler as forwardRemove } from './forward/remove.ts';
import type { Handlers } from './handler.ts';
import { handler as hostShow } from './host/show.ts';
import { handler as hostShutdown } from './host/shutdown.ts';
import { handler as hostStatus } from './host/status.ts';
import { handler as imageBuild } from './image/build.ts';
import { handler as imageCatalog } from './image/catalog.ts';
import { handler as imageExport } from './image/export.ts';
import { handler as imageImport } from './image/import.ts';
import { handler as imageList } from './image/list.ts';
import { handler as imagePull } from './image/pull.ts';
import { handler as imageRemove } from './image/remove.ts';
import { handler as imageShow } from './image/show.ts';
import { handler as imageVerify } from './image/verify.ts';
import { handler as listenerRemove } from './listener/remove.ts';
import { handler as listenerSet } from './listener/set.ts';
import { handler as listenerShow } from './listener/show.ts';
import { handler as metricsShow } from './metrics/show.ts';
import { handler as networkCapture } from './network/capture.ts';
import { handler as networkCreate } from './network/create.ts';
import { handler as networkList } from './network/list.ts';
import { handler as networkRemove } from './network/remove.ts';
import { handler as networkSet } from './network/set.ts';
import { handler as networkShow } from './network/show.ts';
import { handler as nicAdd } from './nic/add.ts';
import { handler as nicList } from './nic/list.ts';
import { handler as nicRemove } from './nic/remove.ts';
import { handler as nicSet } from './nic/set.ts';
import { handler as projectAssign } from './project/assign.ts';
import { handler as projectCreate } from './project/create.ts';
import { handler as projectList } from './project/list.ts';
import { handler as projectRelease } from './project/release.ts';
import { handler as projectRemove } from './project/remove.ts';
import { handler as projectSet } from './project/set.ts';
import { handler as projectShow } from './project/show.ts';
import { handler as roleCreate } from './role/create.ts';
import { handler as roleList } from './role/list.ts';
import { handler as roleRemove } from './role/remove.ts';
import { handler as roleSet } from './role/set.ts';
import { handler as roleShow } from './role/show.ts';
import { handler as securityGroupAllow } from './security-group/allow.ts';
import { handler as securityGroupCreate } from './security-group/create.ts';
import { handler as securityGroupList } from './security-group/list.ts';
import { handler as securityGroupRemove } from './security-group/remove.ts';
import { handler as securityGroupRevoke } from './security-group/revoke.ts';
import { handler as securityGroupSet } from './security-group/set.ts';
import { handler as securityGroupShow } from './security-group/show.ts';
import { handler as sessionCreate } from './session/create.ts';
import { handler as sessionLink } from './session/link.ts';
import { handler as sessionList } from './session/list.ts';
import { handler as sessionRedeem } from './session/redeem.ts';
import { handler as sessionRemove } from './session/remove.ts';
import { handler as sessionWhoami } from './session/whoami.ts';
import { handler as snapshotCreate } from './snapshot/create.ts';
import { handler as snapshotDiff } from './snapshot/diff.ts';
import { handler as snapshotList } from './snapshot/list.ts';
import { handler as snapshotRemove } from './snapshot/remove.ts';
import { handler as snapshotRestore } from './snapshot/restore.ts';
import { handler as snapshotShow } from './snapshot/show.ts';
import { handler as snapshotThumbnail } from './snapshot/thumbnail.ts';
import { handler as snapshotVerify } from './snapshot/verify.ts';
import { handler as statsShow } from './stats/show.ts';
import { handler as taskCancel } from './task/cancel.ts';
import { handler as taskFollow } from './task/follow.ts';
import { handler as taskList } from './task/list.ts';
import { handler as taskShow } from './task/show.ts';
import { handler as taskWatch } from './task/watch.ts';
import { handler as ticketCreate } from './ticket/create.ts';
import { handler as tokenCreate } from './token/create.ts';
import { handler as tokenList } from './token/list.ts';
import { handler as tokenRemove } from './token/remove.ts';
import { handler as topFollow } from './top/follow.ts';
import { handler as topShow } from './top/show.ts';
import { handler as userCan } from './user/can.ts';
import { handler as userCreate } from './user/create.ts';
import { handler as userGrant } from './user/grant.ts';
import { handler as userList } from './user/list.ts';
import { handler as userPassword } from './user/password.ts';
import { handler as userRecover } from './user/recover.ts';
import { handler as userRemove } from './user/remove.ts';
import { handler as userRevoke } from './user/revoke.ts';
import { handler as userSet } from './user/set.ts';
import { handler as userShow } from './user/show.ts';
import { handler as userTotpBegin } from './user/totp-begin.ts';
import { handler as userTotpConfirm } from './user/totp-confirm.ts';
import { handler as userTotpRemove } from './user/totp-remove.ts';
import { handler as vmConsole } from './vm/console.ts';
import { handler as vmCopyIn } from './vm/copy-in.ts';
import { handler as vmCopyOut } from './vm/copy-out.ts';
import { handler as vmCreate } from './vm/create.ts';
import { handler as vmExec } from './vm/exec.ts';
import { handler as vmExplain } from './vm/explain.ts';
import { handler as vmFork } from './vm/fork.ts';
import { handler as vmList } from './vm/list.ts';
import { handler as vmLogs } from './vm/logs.ts';
import { handler as vmPause } from './vm/pause.ts';
import { handler as vmRemove } from './vm/remove.ts';
import { handler as vmRename } from './vm/rename.ts';
import { handler as vmReset } from './vm/reset.ts';
import { handler as vmRestart } from './vm/restart.ts';
import { handler as vmResume } from './vm/resume.ts';
import { handler as vmRun } from './vm/run.ts';
import { handler as vmScreen } from './vm/screen.ts';
import { handler as vmSet } from './vm/set.ts';
import { handler as vmShow } from './vm/show.ts';
import { handler as vmStart } from './vm/start.ts';
import { handler as vmStop } from './vm/stop.ts';
import { handler as vmSuspend } from './vm/suspend.ts';
import { handler as vmView } from './vm/view.ts';
import { handler as vmWait } from './vm/wait.ts';
import { handler as warmPoolCreate } from './warm-pool/create.ts';
import { handler as warmPoolFill } from './warm-pool/fill.ts';
import { handler as warmPoolList } from './warm-pool/list.ts';
import { handler as warmPoolRemove } from './warm-pool/remove.ts';
import { handler as warmPoolSet } from './warm-pool/set.ts';
import { handler as warmPoolShow } from './warm-pool/show.ts';
import { handler as warmPoolTake } from './warm-pool/take.ts';

export const handlers: Handlers = {
  'vm.run': vmRun,
  'vm.create': vmCreate,
  'vm.list': vmList,
  'vm.show': vmShow,
  'vm.start': vmStart,
  'vm.stop': vmStop,
  'vm.restart': vmRestart,
  'vm.pause': vmPause,
  'vm.resume': vmResume,
  'vm.suspend': vmSuspend,
  'vm.reset': vmReset,
  'vm.set': vmSet,
  'vm.explain': vmExplain,
  'vm.rename': vmRename,
  'vm.remove': vmRemove,
  'vm.wait': vmWait,
  'vm.exec': vmExec,
  'vm.console': vmConsole,
  'vm.view': vmView,
  'vm.screen': vmScreen,
  'vm.logs': vmLogs,
  'vm.copy-in': vmCopyIn,
  'vm.copy-out': vmCopyOut,
  'vm.fork': vmFork,
  'snapshot.create': snapshotCreate,
  'snapshot.list': snapshotList,
  'snapshot.show': snapshotShow,
  'snapshot.diff': snapshotDiff,
  'snapshot.thumbnail': snapshotThumbnail,
  'snapshot.restore': snapshotRestore,
  'snapshot.verify': snapshotVerify,
  'snapshot.remove': snapshotRemove,
  'warm-pool.create': warmPoolCreate,
  'warm-pool.list': warmPoolList,
  'warm-pool.show': warmPoolShow,
  'warm-pool.set': warmPoolSet,
  'warm-pool.take': warmPoolTake,
  'warm-pool.fill': warmPoolFill,
  'warm-pool.remove': warmPoolRemove,
  'network.list': networkList,
  'network.create': networkCreate,
  'network.show': networkShow,
  'network.set': networkSet,
  'network.remove': networkRemove,
  'network.capture': networkCapture,
  'nic.add': nicAdd,
  'nic.list': nicList,
  'nic.set': nicSet,
  'nic.remove': nicRemove,
  'forward.add': forwardAdd,
  'forward.list': forwardList,
  'forward.remove': forwardRemove,
  'security-group.list': securityGroupList,
  'security-group.create': securityGroupCreate,
  'security-group.show': securityGroupShow,
  'security-group.allow': securityGroupAllow,
  'security-group.revoke': securityGroupRevoke,
  'security-group.set': securityGroupSet,
  'security-group.remove': securityGroupRemove,
  'flow.list': flowList,
  'flow.follow': flowFollow,
  'image.list': imageList,
  'image.catalog': imageCatalog,
  'image.pull': imagePull,
  'image.build': imageBuild,
  'image.import': imageImport,
  'image.export': imageExport,
  'image.show': imageShow,
  'image.verify': imageVerify,
  'image.remove': imageRemove,
  'host.shutdown': hostShutdown,
  'host.status': hostStatus,
  'host.show': hostShow,
  'top.show': topShow,
  'top.follow': topFollow,
  'stats.show': statsShow,
  'metrics.show': metricsShow,
  'alert.list': alertList,
  'alert.create': alertCreate,
  'alert.show': alertShow,
  'alert.silence': alertSilence,
  'alert.test': alertTest,
  'alert.remove': alertRemove,
  'task.list': taskList,
  'task.show': taskShow,
  'task.cancel': taskCancel,
  'task.follow': taskFollow,
  'task.watch': taskWatch,
  'event.list': eventList,
  'event.follow': eventFollow,
  'user.create': userCreate,
  'user.list': userList,
  'user.show': userShow,
  'user.set': userSet,
  'user.password': userPassword,
  'user.grant': userGrant,
  'user.revoke': userRevoke,
  'user.can': userCan,
  'user.totp-begin': userTotpBegin,
  'user.totp-confirm': userTotpConfirm,
  'user.totp-remove': userTotpRemove,
  'user.recover': userRecover,
  'user.remove': userRemove,
  'role.create': roleCreate,
  'role.list': roleList,
  'role.show': roleShow,
  'role.set': roleSet,
  'role.remove': roleRemove,
  'project.create': projectCreate,
  'project.list': projectList,
  'project.show': projectShow,
  'project.set': projectSet,
  'project.assign': projectAssign,
  'project.release': projectRelease,
  'project.remove': projectRemove,
  'token.create': tokenCreate,
  'token.list': tokenList,
  'token.remove': tokenRemove,
  'session.create': sessionCreate,
  'session.whoami': sessionWhoami,
  'session.list': sessionList,
  'session.remove': sessionRemove,
  'session.redeem': sessionRedeem,
  'session.link': sessionLink,
  'ticket.create': ticketCreate,
  'audit.list': auditList,
  'audit.follow': auditFollow,
  'audit.verify': auditVerify,
  'audit.forward-list': auditForwardList,
  'audit.forward-add': auditForwardAdd,
  'audit.forward-remove': auditForwardRemove,
  'audit.retention-show': auditRetentionShow,
  'audit.retention-set': auditRetentionSet,
  'listener.set': listenerSet,
  'listener.show': listenerShow,
  'listener.remove': listenerRemove,
};
