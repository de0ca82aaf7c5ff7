// The client: every operation of the contract as a method, and on top of them VMs as objects.
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

export class Client {
  /** The daemon's socket, or its URL. */
  readonly socket: string;
  readonly host: Calls['host'];
  readonly vm: VmCalls;
  readonly snapshot: Calls['snapshot'];
  readonly warmPool: Calls['warmPool'];
  readonly network: Calls['network'];
  readonly nic: Calls['nic'];
  readonly forward: Calls['forward'];
  readonly securityGroup: Calls['securityGroup'];
  readonly flow: Calls['flow'];
  readonly image: Calls['image'];
  readonly task: Calls['task'];
  readonly event: Calls['event'];
  readonly listener: Calls['listener'];
  readonly user: Calls['user'];
  readonly role: Calls['role'];
  readonly project: Calls['project'];
  readonly token: Calls['token'];
  readonly session: Calls['session'];
  readonly audit: Calls['audit'];
  readonly #connection: Connection;

  /** @param revive starts a daemon where one dies with a task of this client's under way, which goes on then */
  constructor(endpoint: Endpoint, revive?: Connection['revive']) {
    this.#connection = connection(endpoint, revive);
    this.socket = this.#connection.socket;
    const calls = callsFor(this.#connection);
    this.host = calls.host;
    this.snapshot = calls.snapshot;
    this.warmPool = calls.warmPool;
    this.network = calls.network;
    this.nic = calls.nic;
    this.forward = calls.forward;
    this.securityGroup = calls.securityGroup;
    this.flow = calls.flow;
    this.image = calls.image;
    this.task = calls.task;
    this.event = calls.event;
    this.listener = calls.listener;
    this.user = calls.user;
    this.role = calls.role;
    this.project = calls.project;
    this.token = calls.token;
    this.session = calls.session;
    this.audit = calls.audit;
    const find = async (ref: string, options: CallOptions = {}) => new Vm(this, await calls.vm.show({ vm: ref }, options));
    this.vm = Object.assign(find, calls.vm);
  }

  /** Calls an operation of the contract: `client.call(operations.vm.start, { vm: 'web' })`. */
  call<Op extends AnyOperation>(operation: Op, ...args: Parameters<Method<Op>>): ReturnType<Method<Op>> {
    return methodFor(this.#connection, operation)(...(args as unknown as never[])) as ReturnType<Method<Op>>;
  }

  /** Makes a VM from an image and starts it. */
  async run(image: string, options: CreateOptions = {}, call: CallOptions = {}): Promise<Vm> {
    return new Vm(this, await this.vm.run({ ...options, image }, call));
  }

  /** Makes a VM without starting it. */
  async create(image: string, options: CreateOptions = {}, call: CallOptions = {}): Promise<Vm> {
    return new Vm(this, await this.vm.create({ ...options, image }, call));
  }

  /** Takes a VM out of a warm pool: it runs at once, and from then on it is a VM like any other. */
  async take(warmPool: string, options: { name?: string } = {}, call: CallOptions = {}): Promise<Vm> {
    return new Vm(this, await this.warmPool.take({ ...options, warmPool }, call));
  }

  async vms(filter: { state?: VmState } = {}, call: CallOptions = {}): Promise<Vm[]> {
    return (await this.vm.list(filter, call)).map((info) => new Vm(this, info));
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
