// Types of calls, from the contract. Nothing of it is in the bundle.
import type { OperationById, OperationId } from '../../../src/contract/index.ts';
import type { CallInputOf, OutputOf } from '../../../src/contract/operation.ts';

export type Id = OperationId;
export type Input<I extends Id> = CallInputOf<OperationById<I>>;
export type Output<I extends Id> = OutputOf<OperationById<I>>;

export type Vm = Output<'vm.show'>;
export type Task = Output<'task.show'>;
export type Event = Output<'event.list'>[number];
export type Snapshot = Output<'snapshot.show'>;
export type Top = Output<'top.show'>;
export type Risk = OperationById<Id>['risk'];
