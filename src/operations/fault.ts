// Faults that tests inject into steps, told by the environment. Nothing here acts unless these variables are set:
//   VIV_TEST_FAULT="vm.create:step-name:after:run:kill|throw"   at that moment the daemon dies by SIGKILL, or the step fails
//   VIV_TEST_TWICE=1                                            every step's run and undo is executed twice
export type FaultMoment = 'before' | 'after';
export type FaultAct = 'run' | 'undo';

export interface Faults {
  /** Every run and undo is executed twice, the second time as `repeated`. */
  readonly twice?: boolean;
  /** Called before and after each step's run and undo; what it throws is the step's failure. */
  at?(operation: string, step: string, moment: FaultMoment, act: FaultAct): void | Promise<void>;
}

export function faultsFrom(env: Readonly<Record<string, string | undefined>>): Faults | undefined {
  const twice = env['VIV_TEST_TWICE'] === '1';
  const given = env['VIV_TEST_FAULT'];
  if (!given) return twice ? { twice } : undefined;
  const [operation, step, moment, act, how] = given.split(':');
  if ((moment !== 'before' && moment !== 'after') || (act !== 'run' && act !== 'undo') || (how !== 'kill' && how !== 'throw')) {
    throw new Error(`VIV_TEST_FAULT is ${JSON.stringify(given)}; it is written OPERATION:STEP:before|after:run|undo:kill|throw`);
  }
  return {
    twice,
    at(...here) {
      if (here.join(':') !== `${operation}:${step}:${moment}:${act}`) return;
      if (how === 'kill') process.kill(process.pid, 'SIGKILL');
      throw new Error(`a fault was injected ${moment} the ${act} of ${operation}'s step ${step}`);
    },
  };
}
