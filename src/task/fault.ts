// Faults that tests inject into steps through the environment. Nothing here acts unless these variables are set:
//   VIV_TEST_FAULT="vm.create:step-name:after:run:kill|throw"   at that moment, once, the daemon is ended by SIGKILL, or the step fails;
//                                                               several are separated by commas
//   VIV_TEST_FAULT=@/FILE                                       the same, read from that file, and read again when its text has changed
//   VIV_TEST_TWICE=1                                            every step's run and undo is executed twice
import { readFileSync } from 'node:fs';

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
  const file = given.startsWith('@') ? given.slice(1) : undefined;
  let text = file === undefined ? given : '';
  let waiting = parseAll(text);
  return {
    twice,
    at(...here) {
      if (file !== undefined) {
        const now = readFileSync(file, 'utf8');
        if (now !== text) waiting = parseAll(now);
        text = now;
      }
      const how = waiting.get(here.join(':'));
      if (how === undefined) return;
      waiting.delete(here.join(':'));
      if (how === 'kill') process.kill(process.pid, 'SIGKILL');
      const [operation, step, moment, act] = here;
      throw new Error(`a fault was injected ${moment} the ${act} of ${operation}'s step ${step}`);
    },
  };
}

const parseAll = (text: string) => new Map(text === '' ? [] : text.split(',').map(parse));

/** One fault: where, and how. */
function parse(fault: string): [where: string, how: 'kill' | 'throw'] {
  const [operation, step, moment, act, how] = fault.split(':');
  if ((moment !== 'before' && moment !== 'after') || (act !== 'run' && act !== 'undo') || (how !== 'kill' && how !== 'throw')) {
    throw new Error(`VIV_TEST_FAULT has ${JSON.stringify(fault)}; the form is OPERATION:STEP:before|after:run|undo:kill|throw`);
  }
  return [[operation, step, moment, act].join(':'), how];
}
