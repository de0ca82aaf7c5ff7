// A guest's output for our terminal: colours pass, everything that moves the cursor, answers or renames the window goes.
import { Transform } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

const sequence =
  /\u001b\[[0-?]*[ -/]*[@-~]|\u001b[\]P^_X][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[ -/]*[0-Z\\^-~]|[\u0000-\u0008\u000b\u000c\u000e-\u001a\u001c-\u001f\u007f-\u009f]/g;
// A sequence that may continue in the next chunk.
const unfinished = /\u001b(?:\[[0-?]*[ -/]*|[\]P^_X][^\u0007\u001b]*\u001b?|[ -/]*)?$/;
const colour = /^\u001b\[[0-9;:]*m$/;
const longestSequence = 4096;

export function colourOnly(colours: boolean): Transform {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const tidy = (text: string) =>
    text.replace(sequence, (found) => (colours && colour.test(found) ? found : '')).replace(/\u001b(?!\[[0-9;:]*m)/g, '');
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const text = rest + decoder.write(chunk);
      const open = unfinished.exec(text);
      const at = open && text.length - open.index <= longestSequence ? open.index : text.length;
      rest = text.slice(at);
      done(null, tidy(text.slice(0, at)));
    },
    flush(done) {
      done(null, tidy(rest + decoder.end()));
    },
  });
}
