// A stream of server-sent events for as long as a component is on the screen and the page is visible.
import { useEffect, useRef } from 'react';

/** @param path null: nothing is followed */
export function useEvents<T>(path: string | null, onEvent: (value: T) => void): void {
  const latest = useRef(onEvent);
  latest.current = onEvent;
  useEffect(() => {
    if (path === null) return;
    let source: EventSource | undefined;
    const follow = () => {
      source?.close();
      source = undefined;
      if (document.visibilityState === 'hidden') return;
      source = new EventSource(path);
      source.onmessage = ({ data }) => latest.current(JSON.parse(data) as T);
    };
    follow();
    document.addEventListener('visibilitychange', follow);
    return () => {
      document.removeEventListener('visibilitychange', follow);
      source?.close();
    };
  }, [path]);
}
