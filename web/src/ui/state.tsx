// A state as a word with a dot: never by colour alone.
import { text } from '../language/index.ts';

const kinds: Readonly<Record<string, string>> = {
  ...{ running: 'good', done: 'good', open: 'good', works: 'good' },
  ...{ paused: 'rest', suspended: 'rest', waiting: 'rest' },
  ...{ broken: 'bad', failed: 'bad', 'not-responding': 'bad', refused: 'bad' },
};

export function State({ state, activity, kind }: { state: string; activity?: string | undefined; kind?: string }) {
  return (
    <span className="state" data-kind={activity ? 'busy' : (kind ?? kinds[state] ?? 'none')} data-active={activity ? '' : undefined}>
      {activity ?? text.state[state] ?? state}
    </span>
  );
}
