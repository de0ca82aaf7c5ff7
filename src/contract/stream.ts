// What travels on the WebSockets of `vm.exec`, `vm.console` and `vm.screen`.
//
// Client: the first text frame is the operation's input as JSON (path parameters left out).
// After that both sides send
//   binary frames   one byte of channel, then bytes: 0 stdin, 1 stdout, 2 stderr. A frame with the channel byte alone
//                   is the end of that stream. `console` and `screen` use 0 (to the guest) and 1 (from the guest).
//   text frames     one control message as JSON, below.
// The server sends `exit` or `error` last and closes with 1000.
import { z } from 'zod';
import { type ErrorCode, errorCodes } from './errors.ts';
import { signalNames } from './frame.ts';

export { channel } from './frame.ts';

/** Signals that can be sent into a guest. */
export const Signal = z.enum(signalNames);
export type Signal = z.infer<typeof Signal>;

export const ClientControl = z.discriminatedUnion('type', [
  z.object({ type: z.literal('resize'), rows: z.int().min(1).max(10000), columns: z.int().min(1).max(10000) }),
  z.object({ type: z.literal('signal'), signal: Signal }),
]);
export type ClientControl = z.infer<typeof ClientControl>;

export const ErrorBodySchema = z.object({
  code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]).describe('Error code'),
  message: z.string().describe('What failed, why, and what to do next'),
  details: z.record(z.string(), z.unknown()).optional().describe('Facts for programs'),
});

export const ServerControl = z.discriminatedUnion('type', [
  z.object({ type: z.literal('started'), pid: z.int().nullable() }),
  z.object({
    type: z.literal('exit'),
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    /** Of a console. */ reason: z.string().optional(),
  }),
  z.object({ type: z.literal('error'), error: ErrorBodySchema }),
]);
export type ServerControl = z.infer<typeof ServerControl>;
