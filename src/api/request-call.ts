// What a handler is given of its request. The signal costs something, so it is made when first asked for.
import type { ServerResponse } from 'node:http';
import { VivError } from '../contract/errors.ts';
import type { Call } from '../operations/handler.ts';
import type { Services } from '../operations/services.ts';
import type { Admitted } from './gate.ts';

export class RequestCall implements Call {
  readonly services: Services;
  readonly caller: Call['caller'];
  readonly objects: Call['objects'];
  readonly client: Call['client'];
  readonly commit: Call['commit'];
  readonly setCookie: Call['setCookie'];
  readonly #response: ServerResponse;
  readonly #stopping: AbortSignal;
  #signal: AbortSignal | undefined;

  constructor({ call }: Admitted, services: Services, response: ServerResponse, stopping: AbortSignal) {
    this.services = services;
    this.caller = call.caller;
    this.objects = call.objects;
    this.client = call.client;
    this.commit = call.commit;
    this.setCookie = call.setCookie;
    this.#response = response;
    this.#stopping = stopping;
  }

  get signal(): AbortSignal {
    if (this.#signal) return this.#signal;
    const gone = new AbortController();
    const leave = () => gone.abort(new VivError('cancelled', 'the caller closed the connection'));
    const stop = () => gone.abort(this.#stopping.reason);
    if (this.#response.closed || this.#response.destroyed) leave();
    else if (this.#stopping.aborted) stop();
    else {
      this.#stopping.addEventListener('abort', stop, { once: true });
      this.#response.once('close', () => {
        this.#stopping.removeEventListener('abort', stop);
        if (!this.#response.writableFinished) leave();
      });
    }
    this.#signal = gone.signal;
    return gone.signal;
  }
}
