// The gate in front of every operation: who asks, whether they may, and the record of it. server.ts asks it for each route; nothing else decides.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AuditEntry } from '../access/audit/log.ts';
import type { Identity } from '../access/identity.ts';
import { VivError } from '../contract/errors.ts';
import type { Operation } from '../contract/operation.ts';
import { allowedOn } from '../operations/access/allowed.ts';
import { type Authorized, authorize, Refused } from '../operations/access/authorize.ts';
import { shownTo } from '../operations/access/visible.ts';
import type { Call } from '../operations/handler.ts';
import type { Services } from '../operations/services.ts';
import type { Transaction } from '../store/store.ts';
import { checkContentType, checkSameOrigin } from './cross-site.ts';
import { addressOf, type Caller, cookieFor, type Identifier } from './identify.ts';

type Fields = Record<string, unknown>;

/** One request behind the gate. */
export interface Admitted extends Authorized {
  readonly identity: Identity;
  readonly call: Pick<Call, 'caller' | 'objects' | 'commit' | 'client' | 'setCookie'>;
  /** Records how it ended, unless a commit has. */
  ended(error?: VivError): Promise<void>;
}

/** Refusals of requests without a known sender that are recorded in a minute: a scanner must not fill the disk. */
const strangersPerMinute = 60;

export class Gate {
  readonly #services: Services;
  readonly #identifier: Identifier;
  #strangers = { minute: 0, count: 0 };

  constructor(services: Services, identifier: Identifier) {
    this.#services = services;
    this.#identifier = identifier;
  }

  /** In the route's own hook, before anything of the request is read. @throws unauthenticated, forbidden, invalid */
  async identify(operation: Operation, request: FastifyRequest): Promise<Caller> {
    try {
      const caller = this.#identifier.identify(request.raw);
      if (caller.identity.ref.via === 'none' && operation.permission !== 'public')
        throw new VivError('unauthenticated', 'who is asking is not known; sign in with viv login, or give a valid token');
      const network = addressOf(request.raw) !== null;
      checkSameOrigin(request.raw, caller.byCookie);
      if (network) checkContentType(request.raw, operation.transport);
      if (operation.transport === 'socket' && caller.byCookie) this.#checkTicket(operation, request, caller.identity);
      return caller;
    } catch (error) {
      await this.#refused(operation, this.#services.access.nobody(addressOf(request.raw)), [], error);
      throw error;
    }
  }

  /** Resolves, decides and records a refusal. @throws unauthenticated, forbidden, over_quota, not_found, ambiguous, no_space */
  async admit(operation: Operation, input: Fields, { identity }: Caller, request: FastifyRequest, reply?: FastifyReply): Promise<Admitted> {
    const { audit } = this.#services;
    const audited = operation.audit;
    let authorized: Authorized;
    try {
      // Owners may do everything: nothing is looked up for them but what the record names.
      authorized =
        identity.isOwner && !audited
          ? { input, objects: [], stillAllowed: () => true }
          : await authorize(operation, input, identity, this.#services);
    } catch (error) {
      const objects = error instanceof Refused ? error.objects : [];
      if (!identity.isOwner) await this.#refused(operation, identity, objects, error);
      throw error;
    }
    const { objects } = authorized;
    let recorded = !audited;
    const entry = (outcome: AuditEntry['outcome'], error: VivError | null = null): AuditEntry => ({
      actor: identity.ref,
      operation: operation.id,
      objects: [...objects],
      outcome,
      error: error && { code: error.code, message: error.message.slice(0, 300) },
      task: null,
    });
    return {
      ...authorized,
      identity,
      call: {
        caller: identity.ref,
        objects,
        client: request.headers['user-agent']?.slice(0, 200) ?? null,
        setCookie: (secret) => void reply?.header('set-cookie', cookieFor(secret)),
        commit: (transaction: Transaction) => {
          if (recorded) return audit.commit(transaction);
          recorded = true;
          return audit.commit(transaction, entry('done'));
        },
      },
      async ended(error) {
        if (recorded) return;
        recorded = true;
        const refused = error?.code === 'unauthenticated' || error?.code === 'forbidden' || error?.code === 'rate_limited';
        // A request that failed before it changed anything is no change.
        if (error && !refused && operation.transport === 'json') return;
        await audit.record(entry(error ? (refused ? 'refused' : 'failed') : 'done', error));
      },
    };
  }

  /** What of an answer or an event the caller sees; undefined: nothing. */
  async shown(operation: Operation, identity: Identity, output: unknown): Promise<unknown> {
    const services = this.#services;
    if (operation.id === 'vm.show') {
      const { id } = output as { id: string };
      const vm = services.vms.byId(id);
      return vm ? { ...(output as object), allowed: await allowedOn(vm, identity, services) } : output;
    }
    return shownTo(identity, operation.id, output, services);
  }

  /** A browser opens a WebSocket with a ticket of its own session, for this VM and this kind. @throws forbidden */
  #checkTicket(operation: Operation, request: FastifyRequest, identity: Identity): void {
    const ticket = this.#identifier.ticket(request.raw);
    const { vm } = request.params as { vm?: string };
    const fits =
      ticket !== undefined &&
      ticket.by.session === identity.ref.session &&
      operation.id === `vm.${ticket.kind}` &&
      (vm === ticket.vm || this.#services.vms.byId(ticket.vm)?.name === vm);
    if (!fits)
      throw new VivError('forbidden', 'a browser opens this with a ticket for it, used once and within 30 s: POST /v1/vms/VM/tickets');
  }

  async #refused(
    operation: Operation,
    identity: Identity,
    objects: readonly AuditEntry['objects'][number][],
    error: unknown,
  ): Promise<void> {
    if (!(error instanceof VivError) || error.code === 'invalid' || error.code === 'ambiguous') return;
    if (identity.ref.via === 'none' && !this.#mayRecordStranger()) return;
    await this.#services.audit.record({
      actor: identity.ref,
      operation: operation.id,
      objects: [...objects],
      outcome: 'refused',
      error: { code: error.code, message: error.message.slice(0, 300) },
      task: null,
    });
  }

  #mayRecordStranger(): boolean {
    const minute = Math.floor(Date.now() / 60_000);
    if (this.#strangers.minute !== minute) this.#strangers = { minute, count: 0 };
    return ++this.#strangers.count <= strangersPerMinute;
  }
}
