// The smallest guest there is: a boot sector of its own, up in a second. It prints a text to the serial line and then does
// what is typed there: `p` powers the VM off, `c` tells the host of a panic (as a kernel would, by pvpanic).
import { writeFile } from 'node:fs/promises';

const origin = 0x7c00;

/* biome-ignore format: one instruction a line */
const code = [
  0x31, 0xc0, //             xor ax, ax
  0x8e, 0xd8, //             mov ds, ax
  0x8e, 0xd0, //             mov ss, ax
  0xbc, 0x00, 0x7c, //       mov sp, 0x7c00
  0xfc, //                   cld
  0xfb, //                   sti
  0xbe, 0x49, 0x7c, //       mov si, text
  0xac, //             next: lodsb
  0x84, 0xc0, //             test al, al
  0x74, 0x12, //             jz wait
  0x88, 0xc4, //             mov ah, al
  0xba, 0xfd, 0x03, //       mov dx, 0x3fd       line status
  0xec, //             full: in al, dx
  0xa8, 0x20, //             test al, 0x20       room to send
  0x74, 0xfb, //             jz full
  0xba, 0xf8, 0x03, //       mov dx, 0x3f8       data
  0x88, 0xe0, //             mov al, ah
  0xee, //                   out dx, al
  0xeb, 0xe9, //             jmp next
  0xf4, //             wait: hlt                 until the next tick
  0xba, 0xfd, 0x03, //       mov dx, 0x3fd
  0xec, //                   in al, dx
  0xa8, 0x01, //             test al, 1          something was typed
  0x74, 0xf7, //             jz wait
  0xba, 0xf8, 0x03, //       mov dx, 0x3f8
  0xec, //                   in al, dx
  0x3c, 0x70, //             cmp al, 'p'
  0x75, 0x07, //             jne +7
  0xba, 0x04, 0x06, //       mov dx, 0x604       PM1a control, where SeaBIOS puts it
  0xb8, 0x00, 0x20, //       mov ax, 0x2000      S5, now
  0xef, //                   out dx, ax
  0x3c, 0x63, //             cmp al, 'c'
  0x75, 0xe4, //             jne wait
  0xba, 0x05, 0x05, //       mov dx, 0x505       pvpanic
  0xb0, 0x01, //             mov al, 1           panicked
  0xee, //                   out dx, al
  0xeb, 0xdc, //             jmp wait
  //                   text:
];

export function bootSector(text: string): Buffer {
  const sector = Buffer.alloc(512);
  Buffer.from(code).copy(sector);
  sector.writeUInt16LE(origin + code.length, code.indexOf(0xbe) + 1);
  const bytes = Buffer.from(`${text}\r\n\0`, 'latin1');
  if (code.length + bytes.length > 510) throw new Error('the text does not fit into a boot sector');
  bytes.copy(sector, code.length);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** A raw disk of 1 MiB that begins with this boot sector. */
export async function writeBootDisk(file: string, text: string): Promise<void> {
  await writeFile(file, Buffer.concat([bootSector(text), Buffer.alloc(2 ** 20 - 512)]));
}
