// The network listener: HTTPS for other computers. There is none until somebody asks for it.
import { z } from 'zod';
import { Text } from './field.ts';
import { defineOperation } from './operation.ts';

export const defaultPort = 8843;

export const Listener = z.object({
  address: z.string().describe('Address that it listens on'),
  port: z.int().describe('Port that it listens on'),
  url: z.string().describe('Where other computers reach it'),
  fingerprint: z.string().describe('SHA-256 of the certificate that clients pin: that of the host’s authority, or of the certificate file'),
  certificateUntil: z.int().describe('Time at which the server’s certificate ends; the host’s own is renewed by itself before'),
});

export type Listener = z.infer<typeof Listener>;

const file = Text.regex(/^\//, 'the path is absolute').max(4096);
const Asked = z.object({
  listen: z
    .string()
    .max(100)
    .regex(/^(\[[0-9a-fA-F:.]+\]|[0-9.]*|localhost)(:\d{1,5})?$/, 'an address is written like 0.0.0.0:8843, 192.0.2.1 or [::]:8843')
    .describe('Address and port, such as 0.0.0.0:8843'),
  names: z
    .array(
      z
        .string()
        .max(253)
        .regex(/^[a-zA-Z0-9.:-]+$/, 'a host name is made of letters, digits, dots and dashes'),
    )
    .max(20)
    .default([])
    .describe('Further host name or address that clients use (repeatable)'),
  certificate: file.optional().describe('Certificate file (PEM) instead of the host’s own; read again when it changes'),
  key: file.optional().describe('Key file of the certificate'),
});

export const set = defineOperation({
  id: 'listener.set',
  method: 'PUT',
  path: '/v1/listener',
  permission: 'listener.set',
  summary: 'Serve the API over HTTPS on an address, now and after each start of the daemon',
  input: Asked,
  output: Listener.extend({
    setUpLink: z.string().nullable().describe('Link by which the first administrator is created; null: there are users'),
  }),
  errors: ['in_use', 'not_found', 'unsupported'],
});

export const show = defineOperation({
  id: 'listener.show',
  method: 'GET',
  path: '/v1/listener',
  permission: 'listener.read',
  summary: 'Show the network listener',
  input: z.object({}),
  output: Listener.nullable(),
  errors: [],
});

export const remove = defineOperation({
  id: 'listener.remove',
  method: 'DELETE',
  path: '/v1/listener',
  permission: 'listener.remove',
  summary: 'Close the network listener and its connections',
  input: z.object({}),
  output: z.object({ closed: z.boolean().describe('Whether there was one') }),
  errors: [],
});
