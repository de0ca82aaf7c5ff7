// Console tickets: a browser cannot send a header with a WebSocket, and a URL is no place for a secret.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Ref, Time } from './field.ts';
import { defineOperation } from './operation.ts';

export const create = defineOperation({
  id: 'ticket.create',
  method: 'POST',
  path: '/v1/vms/{vm}/tickets',
  permission: 'vm.console',
  summary: 'Make a single-use ticket, valid for 30 s, by which a browser opens a WebSocket to a VM',
  input: z.object({
    vm: Ref.describe('VM that is opened'),
    kind: z.enum(['exec', 'console', 'screen']).describe('What is opened: exec, console or screen'),
  }),
  output: z.object({
    ticket: z.string().describe('The secret'),
    protocols: z.array(z.string()).describe('Subprotocols to open the WebSocket with'),
    expiresAt: Time.describe('Time from which it is refused'),
  }),
  errors: [...failures.find],
});

/** The subprotocol that the server chooses. */
export const webSocketProtocol = 'vivarium.v1';

/** The subprotocols that a browser opens a WebSocket with: the one that is chosen, and the ticket. */
export const ticketProtocols = (ticket: string): string[] => [webSocketProtocol, `ticket.${ticket}`];
