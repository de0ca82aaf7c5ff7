// Whether the session is known to have ended: one flag that the whole page follows.
import { useSyncExternalStore } from 'react';

let expired = false;
const listeners = new Set<() => void>();

function set(value: boolean): void {
  if (expired === value) return;
  expired = value;
  for (const listener of listeners) listener();
}

export const expire = (): void => set(true);
export const renewed = (): void => set(false);

export const useExpired = (): boolean =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => expired,
  );
