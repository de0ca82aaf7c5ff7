// Server-sent events as async iterators.
import type { IncomingMessage } from 'node:http';
import { StringDecoder } from 'node:string_decoder';

export interface ServerEvent {
  readonly id: string | undefined;
  /** `error` carries an ErrorBody and is the last one; `end` says that nothing more will come. */
  readonly type: string;
  readonly data: string;
}

/** The events of one answer; ends with it, throws when the connection breaks. Reading slowly slows the server down. */
export async function* serverEvents(answer: IncomingMessage): AsyncGenerator<ServerEvent> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    rest += decoder.write(chunk);
    const blocks = rest.split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = parse(block);
      if (event) yield event;
    }
  }
}

function parse(block: string): ServerEvent | undefined {
  let id: string | undefined;
  let type = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue; // a comment keeps the connection alive
    const value = line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    const field = line.slice(0, colon);
    if (field === 'id') id = value;
    else if (field === 'event') type = value;
    else if (field === 'data') data.push(value);
  }
  return data.length > 0 ? { id, type, data: data.join('\n') } : undefined;
}
