// What `import { connect } from 'vivarium'` gives.
export { type ErrorBody, type ErrorCode, errorCodes, VivError } from '../contract/errors.ts';
export type { Event } from '../contract/event.ts';
export type { Host, Status } from '../contract/host.ts';
export type { CatalogEntry, Image, Recipe } from '../contract/image.ts';
export { operations } from '../contract/index.ts';
export type { Task } from '../contract/task.ts';
export type { VmOptions } from '../contract/vm-options.ts';
export type { Vm as VmInfo, VmState } from '../contract/vm-state.ts';
export { Client, type CreateOptions } from './client.ts';
export { type ConnectOptions, connect } from './connect.ts';
export type { Copied, CopyOptions } from './copy/copied.ts';
export type { ExecOptions, ExecResult } from './exec.ts';
export type { Body, CallOptions, Calls, Method, Session } from './types.ts';
export { type Settings, type SpawnOptions, type TerminalOptions, Vm } from './vm.ts';
