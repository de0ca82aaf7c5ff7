// The operations room: one verb per file, in a folder per noun. A file checks what was asked, then lists steps that call a room below; it owns
// no state. Which file does an operation is in index.ts, which is generated from the contract.
//
//   call ──> checks (throw what is wrong) ──> steps: run, each with its undo ──> output
//            before the task is journalled    one after the other, in the VM's queue
//
// This file binds the handler types of the task room to the services of the operations.
import type { OperationId } from '../contract/index.ts';
import type * as task from '../task/handler.ts';
import type { Services } from './services.ts';

export type { Download, Socket } from '../task/handler.ts';
export type Call = task.Call<Services>;
export type TaskContext = task.TaskContext<Services>;
export type Step<State> = task.Step<State, Services>;
export type TaskHandler<Input, Output, State extends object = object> = task.TaskHandler<Input, Output, State, Services>;
export type HandlerOf<Id extends OperationId> = task.HandlerOf<Id, Services>;
export type Handlers = task.Handlers<Services>;
