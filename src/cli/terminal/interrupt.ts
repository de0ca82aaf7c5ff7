// Ctrl-C: the handler in charge decides what it means (cancel the task, signal the guest); without a handler it ends `viv`.
// Every handler is called (several tasks may be in progress). Handlers are removed by the function that adding them returned.

type Handler = (signal: NodeJS.Signals) => void;

export interface Interrupts {
  /** Aborts when the user ends `viv` and nobody had another use for it. */
  readonly signal: AbortSignal;
  /** True after the first one, handled or not: nothing new is begun. */
  readonly asked: boolean;
  handle(handler: Handler): () => void;
  /** Ends the waiting of everyone. */
  abort(): void;
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function interrupts(leave: (code: number) => void, codes: Readonly<Record<string, number>>): Interrupts & { stop(): void } {
  const controller = new AbortController();
  const handlers: Handler[] = [];
  let asked = 0;
  let unhandled = 0;
  const listener = (signal: NodeJS.Signals) => {
    asked += 1;
    if (handlers.length > 0) {
      for (const handler of [...handlers]) handler(signal);
      return;
    }
    unhandled += 1;
    controller.abort();
    // Who waits on the signal gets the chance to tidy up; a second Ctrl-C does not wait for that.
    if (unhandled > 1) leave(128 + (codes[signal] ?? 2));
  };
  for (const signal of signals) process.on(signal, listener);
  return {
    signal: controller.signal,
    get asked() {
      return asked > 0;
    },
    handle(handler) {
      handlers.push(handler);
      return () => {
        const at = handlers.lastIndexOf(handler);
        if (at >= 0) handlers.splice(at, 1);
      };
    },
    abort: () => controller.abort(),
    stop() {
      for (const signal of signals) process.off(signal, listener);
    },
  };
}
