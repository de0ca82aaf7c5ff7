// Typed events that travel upward. Each room declares the events it emits; daemon.ts creates the one bus and subscribes.

/** `Events` maps each event's type to its payload. */
export interface EventBus<Events> {
  /** Calls `listener` with each event of this type. @returns unsubscribes */
  on<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => unknown): () => void;
  /** Calls the listeners immediately. Resolves when all of them are done; never rejects because of a listener. */
  emit<Type extends keyof Events>(type: Type, event: Events[Type]): Promise<void>;
}

/** An entry for the event log. `type` is `noun.past-participle`. */
export interface Report {
  readonly type: string;
  /** Id of the VM or snapshot that it is about. */
  readonly subject?: string;
  readonly name?: string;
  readonly message: string;
}

/** What every room may emit. */
export interface ReportEvents {
  report: Report;
}

/** @param onError called with the error of a listener */
export function createEventBus<Events>(onError: (error: unknown, type: keyof Events) => void): EventBus<Events> {
  const listeners = new Map<keyof Events, Set<(event: never) => unknown>>();
  return {
    on(type, listener) {
      const set = listeners.get(type) ?? new Set();
      listeners.set(type, set.add(listener));
      return () => void set.delete(listener);
    },
    async emit(type, event) {
      const calls = [...(listeners.get(type) ?? [])].map(async (listener) => {
        try {
          await listener(event as never);
        } catch (error) {
          onError(error, type);
        }
      });
      await Promise.all(calls);
    },
  };
}
