// The sdk room: the typed client. It owns the connection to a daemon and its start; every operation of the contract is a method, derived and
// not written by hand, and VMs are objects on top of them.
//
//   connect.ts ──> Client ──┬─> client.vm.start({ vm }) ──raw.ts──> HTTP, WebSocket, event stream
//   (starts a daemon)       └─> Vm (vm.ts): vm.exec(), vm.copyTo() ...
import type { z } from 'zod';
import type { Event } from '../contract/event.ts';
import type { Image } from '../contract/image.ts';
import type { AnyOperation } from '../contract/index.ts';
import type { VmOptions } from '../contract/vm-options.ts';
import type { VmState } from '../contract/vm-state.ts';
import { type Connection, connection } from './http.ts';
import { callsFor, methodFor } from './raw.ts';
import type { Endpoint } from './remote.ts';
import type { CallOptions, Calls, Method } from './types.ts';
import { Vm } from './vm.ts';

export type CreateOptions = Omit<z.input<typeof VmOptions>, 'image'>;

/** `client.vm('web')` is a VM, `client.vm.start({ vm: 'web' })` the raw call. */
export type VmCalls = Calls['vm'] & ((ref: string, options?: CallOptions) => Promise<Vm>);

/** The raw calls, a noun each: `client.network.create({ network: 'lab' })`. */
export interface Client extends Omit<Calls, 'vm'> {}

// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: see above
export class Client {
  /** The daemon's socket, or its URL. */
  readonly socket: string;
  readonly vm: VmCalls;
  readonly #connection: Connection;

  /** @param revive starts a daemon where one dies during a task of this client, which then continues */
  constructor(endpoint: Endpoint, revive?: Connection['revive']) {
    this.#connection = connection(endpoint, revive);
    this.socket = this.#connection.socket;
    const { vm, ...calls } = callsFor(this.#connection);
    Object.assign(this, calls);
    const find = async (ref: string, options: CallOptions = {}) => new Vm(this, await vm.show({ vm: ref }, options));
    this.vm = Object.assign(find, vm);
  }

  /** Calls an operation of the contract: `client.call(operations.vm.start, { vm: 'web' })`. */
  call<Op extends AnyOperation>(operation: Op, ...args: Parameters<Method<Op>>): ReturnType<Method<Op>> {
    return methodFor(this.#connection, operation)(...(args as unknown as never[])) as ReturnType<Method<Op>>;
  }

  /** Creates a VM from an image and starts it. */
  async run(image: string, options: CreateOptions = {}, call: CallOptions = {}): Promise<Vm> {
    return new Vm(this, await this.vm.run({ ...options, image }, call));
  }

  /** Creates a VM without starting it. */
  async create(image: string, options: CreateOptions = {}, call: CallOptions = {}): Promise<Vm> {
    return new Vm(this, await this.vm.create({ ...options, image }, call));
  }

  /** Takes a running VM out of a warm pool; it is a VM like any other afterwards. */
  async take(warmPool: string, options: { name?: string } = {}, call: CallOptions = {}): Promise<Vm> {
    return new Vm(this, await this.warmPool.take({ ...options, warmPool }, call));
  }

  async vms(filter: { state?: VmState } = {}, call: CallOptions = {}): Promise<Vm[]> {
    return (await this.vm.list(filter, call)).map((info) => new Vm(this, info));
  }

  async images(call: CallOptions = {}): Promise<Image[]> {
    return this.image.list({}, call);
  }

  /** Events as they happen; after a broken connection (the daemon restarted) they continue without a gap. */
  events(options: { after?: number; signal?: AbortSignal } = {}): AsyncIterable<Event> {
    const { signal, ...input } = options;
    return this.event.follow(input, signal ? { signal } : {});
  }

  close(): void {
    this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
