// The client: every operation of the contract as a method, and on top of them machines as objects.
import type { z } from 'zod';
import type { Event } from '../contract/event.ts';
import type { Image } from '../contract/image.ts';
import type { AnyOperation } from '../contract/index.ts';
import type { VmOptions, VmState } from '../contract/vm.ts';
import { type Connection, connection } from './http.ts';
import { callsFor, methodFor } from './raw.ts';
import type { CallOptions, Calls, Method } from './types.ts';
import { Machine } from './vm.ts';

export type MachineOptions = Omit<z.input<typeof VmOptions>, 'image'>;

/** `client.vm('web')` is a machine, `client.vm.start({ vm: 'web' })` the raw call. */
export type VmCalls = Calls['vm'] & ((ref: string, options?: CallOptions) => Promise<Machine>);

export class Client {
  readonly socket: string;
  readonly host: Calls['host'];
  readonly vm: VmCalls;
  readonly snapshot: Calls['snapshot'];
  readonly pool: Calls['pool'];
  readonly network: Calls['network'];
  readonly group: Calls['group'];
  readonly flow: Calls['flow'];
  readonly image: Calls['image'];
  readonly task: Calls['task'];
  readonly event: Calls['event'];
  readonly #connection: Connection;

  /** @param revive starts a daemon where one dies with a task of this client's under way, which goes on then */
  constructor(socket: string, revive?: Connection['revive']) {
    this.socket = socket;
    this.#connection = connection(socket, revive);
    const calls = callsFor(this.#connection);
    this.host = calls.host;
    this.snapshot = calls.snapshot;
    this.pool = calls.pool;
    this.network = calls.network;
    this.group = calls.group;
    this.flow = calls.flow;
    this.image = calls.image;
    this.task = calls.task;
    this.event = calls.event;
    const find = async (ref: string, options: CallOptions = {}) => new Machine(this, await calls.vm.show({ vm: ref }, options));
    this.vm = Object.assign(find, calls.vm);
  }

  /** Calls an operation of the contract: `client.call(operations.vm.start, { vm: 'web' })`. */
  call<Op extends AnyOperation>(operation: Op, ...args: Parameters<Method<Op>>): ReturnType<Method<Op>> {
    return methodFor(this.#connection, operation)(...(args as unknown as never[])) as ReturnType<Method<Op>>;
  }

  /** Makes a machine from an image and starts it. */
  async run(image: string, options: MachineOptions = {}, call: CallOptions = {}): Promise<Machine> {
    return new Machine(this, await this.vm.run({ ...options, image }, call));
  }

  /** Makes a machine without starting it. */
  async create(image: string, options: MachineOptions = {}, call: CallOptions = {}): Promise<Machine> {
    return new Machine(this, await this.vm.create({ ...options, image }, call));
  }

  /** Takes a machine out of a warm pool: it runs at once, and from then on it is a machine like any other. */
  async take(pool: string, options: { name?: string } = {}, call: CallOptions = {}): Promise<Machine> {
    return new Machine(this, await this.pool.take({ ...options, pool }, call));
  }

  async vms(filter: { state?: VmState } = {}, call: CallOptions = {}): Promise<Machine[]> {
    return (await this.vm.list(filter, call)).map((info) => new Machine(this, info));
  }

  async images(call: CallOptions = {}): Promise<Image[]> {
    return this.image.list({}, call);
  }

  /** What happens, as it happens; after a break (the daemon restarted) it goes on where it was. */
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
