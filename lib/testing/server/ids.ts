import { randomBytes } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
let pool = Buffer.alloc(0);
let at = 0;

/** Creates a random text of letters and digits. */
export function randomText(length: number): string {
  let result = '';
  for (let index = 0; index < length; index++) {
    if (at >= pool.length) {
      pool = randomBytes(4096);
      at = 0;
    }
    result += ALPHABET[(pool[at++] as number) % 62];
  }
  return result;
}
