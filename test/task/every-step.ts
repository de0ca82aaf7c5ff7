// Enumerates every instant at which a fault can strike an operation that runs as a task.
import type { FaultAct, FaultMoment } from '../../src/task/fault.ts';
import type { TaskHandler } from '../../src/task/handler.ts';

export interface Instant {
  readonly operation: string;
  readonly step: string;
  readonly moment: FaultMoment;
  readonly act: FaultAct;
  /** What VIV_TEST_FAULT is to be, followed by `kill` or `throw`. */
  readonly fault: string;
}

/** Before and after each step's run, and each undo of a step that has one (something must fail for an undo to happen). */
export function everyStep(
  operation: string,
  // biome-ignore lint/suspicious/noExplicitAny: whatever its state is
  handler: Pick<TaskHandler<any, any, any, object>, 'steps'>,
  acts: readonly FaultAct[] = ['run', 'undo'],
): Instant[] {
  return handler.steps.flatMap((step) =>
    acts
      .filter((act) => act === 'run' || step.undo !== undefined)
      .flatMap((act) =>
        (['before', 'after'] as const).map((moment) => ({
          operation,
          step: step.name,
          moment,
          act,
          fault: `${operation}:${step.name}:${moment}:${act}:`,
        })),
      ),
  );
}
