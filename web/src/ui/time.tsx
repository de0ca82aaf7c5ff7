// A moment as how long ago it was; the exact time on hover and for screen readers.
import { useEffect, useState } from 'react';
import { ago, moment } from './format.ts';

export function Ago({ at }: { at: number }) {
  const [, redraw] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => redraw((count) => count + 1), Date.now() - at < 3_600_000 ? 10_000 : 60_000);
    return () => clearInterval(timer);
  }, [at]);
  return (
    <time dateTime={new Date(at).toISOString()} title={moment(at)}>
      {ago(at)}
    </time>
  );
}
