declare module 'virtual:routes' {
  import type { Method, Risk, Transport } from '../../src/contract/operation.ts';

  const routes: [id: string, method: Method, path: string, transport: Transport, task: boolean, risk: Risk][];
  export default routes;
}
declare module 'virtual:contract' {
  import type { Risk, Transport } from '../../src/contract/operation.ts';
  import type { PlainSchema } from '../../src/contract/plain.ts';

  const operations: {
    id: string;
    summary: string;
    permission: string;
    risk: Risk;
    task: boolean;
    transport: Transport;
    shape: Record<string, PlainSchema>;
    words: string | null;
    args: string[];
    flags: Record<string, string | false>;
  }[];
  export default operations;
}
declare module '@novnc/novnc' {
  export default class RFB extends EventTarget {
    constructor(target: HTMLElement, channel: unknown, options?: { shared?: boolean });
    scaleViewport: boolean;
    background: string;
    viewOnly: boolean;
    focus(): void;
    disconnect(): void;
    sendCtrlAltDel(): void;
    sendKey(keysym: number, code: string | null, down?: boolean): void;
    clipboardPasteFrom(text: string): void;
  }
}
