// The handler types of the task room, bound to the services of the operations. Every operation's file takes them from here.
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
