// `ticket.create`: browsers cannot send a header with a WebSocket, and a URL is no place for a secret, so a ticket goes in a subprotocol.
import { VivError } from '../../contract/errors.ts';
import { ticketProtocols } from '../../contract/ticket.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'ticket.create'> = async ({ vm: ref, kind }, { services: { access, vms }, caller }) => {
  if (caller.via !== 'session') throw new VivError('invalid', 'tickets are for sessions in a browser; send the token as a header instead');
  const { id } = vms.find(ref);
  const { secret, expiresAt } = access.tickets.make({ vm: id, kind, by: caller });
  return { ticket: secret, protocols: ticketProtocols(secret), expiresAt };
};
