import { expect, it } from 'vitest';
import { validBefore } from '../../../lib/engines/ssh-certificate.js';

// Signed by ssh-keygen for 2026-01-01T00:00:00Z to 2026-01-02T03:04:05Z, and without expiry.
const ED25519 =
  'ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIFEK6fLyuQqHc2+l1mQYw0aFl' +
  '36EMUKSbYc6yBVCKqK7AAAAIIzZvlroUl+kO7wEi6/0G3CY3D46vBA8lPgT4jO3azArAAAAAAAAAAAAAAABAAAAAmlkAAAAEQAAAANhcHAAAAA' +
  'GdWJ1bnR1AAAAAGlVuQAAAAAAaVc1pQAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZvcndhc' +
  'mRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAA' +
  'AAAAzAAAAC3NzaC1lZDI1NTE5AAAAIJiU8XudtVBHmZl3q4TD+0NAtgWWTfqCV2UH5lp67mu8AAAAUwAAAAtzc2gtZWQyNTUxOQAAAEDlfwIA7' +
  'JPMFmusqVyraWynmOrOIjPcDIckGMAOcnq7LT3gaPgHkDUmoxpuXnwduIskbgM0d8C6F2ZOpXXAf5IB';
const ECDSA =
  'ecdsa-sha2-nistp256-cert-v01@openssh.com AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgF/Ypg' +
  'OxRSVtjgW7dYdZ86J6Q2f4phYylowPzg3Az6qYAAAAIbmlzdHAyNTYAAABBBMTzm9LmH/AWfbnr4oQWNIy+aqHjHkR+9lIRfXwjfmY2aeeQ6L5' +
  'Z6Vqd7+1fnK+4Du5HkXVkiqELmmYJiuzN7T0AAAAAAAAAAAAAAAEAAAACaWQAAAARAAAAA2FwcAAAAAZ1YnVudHUAAAAAaVW5AAAAAABpVzWlA' +
  'AAAAAAAAIIAAAAVcGVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBvcnQ' +
  'tZm9yd2FyZGluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAgm' +
  'JTxe521UEeZmXerhMP7Q0C2BZZN+oJXZQfmWnrua7wAAABTAAAAC3NzaC1lZDI1NTE5AAAAQDYfemOjNmMZxl9MvE9ieDYLraS+9Uod5A5hdFS' +
  'OnFONIlkFOp3beXlBhR5cEqh/k2D214Fld9ppJZEPinBxNQc=';
const RSA_FOR_EVER =
  'ssh-rsa-cert-v01@openssh.com AAAAHHNzaC1yc2EtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgf8/PRd2s4PTK1tobq87ruSCXZcM1J0KkT' +
  'NPNbd5PA7UAAAADAQABAAAAgQDO5uV4f+59Cd1Cc7CkPnB8nrRkWgq5ShPQgHacJrsFdko/7xbLZbRNZ0ixiW13J3LUA60zSPcDdo0cDIZCnKS' +
  'gw6UczQGHdpu2lpMyibd2CPvZv0jPepSqkF3DeWAaPAox1c6jljDC8Umc0qu/sQ4ZryAJdBfZFBSxYt/EWhLNGwAAAAAAAAAAAAAAAQAAAAJpZ' +
  'AAAAAAAAAAAAAAAAP//////////AAAAAAAAAIIAAAAVcGVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGl' +
  'uZwAAAAAAAAAWcGVybWl0LXBvcnQtZm9yd2FyZGluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAA' +
  'DMAAAALc3NoLWVkMjU1MTkAAAAgmJTxe521UEeZmXerhMP7Q0C2BZZN+oJXZQfmWnrua7wAAABTAAAAC3NzaC1lZDI1NTE5AAAAQO4NrxUkDUX' +
  'xf2SOhbWS9P8Qjfl0yynasRzMHDarY5bL8Rf5FZfszZweMiN7gX7yfqIklfUxgKzeDdrE+C38JwE=';
const END = Date.parse('2026-01-02T03:04:05Z') / 1_000;

it.each([
  ['an Ed25519 key', ED25519, END],
  ['an ECDSA key', ECDSA, END],
  ['with a comment and a line break, as servers write it', `${ED25519} user@host\n`, END],
  ['an RSA key, for ever', RSA_FOR_EVER, undefined],
  [
    'a key without a certificate',
    `ssh-ed25519 ${Buffer.from('\0\0\0\x0bssh-ed25519\0\0\0\0').toString('base64')}`,
    undefined,
  ],
  ['an unknown type', `x ${Buffer.from('\0\0\0\x01x').toString('base64')}`, undefined],
  ['no key at all', 'maintenance', undefined],
  ['nothing', '', undefined],
])('reads the expiry of a certificate: %s', (_, certificate, end) => {
  expect(validBefore(certificate)).toBe(end);
});

it('a truncated or changed certificate has no expiry, or another one, and causes no error', () => {
  const [type = '', base64 = ''] = ED25519.split(' ');
  const blob = Buffer.from(base64, 'base64');
  for (let at = 0; at < blob.length; at++) {
    expect(validBefore(`${type} ${blob.subarray(0, at).toString('base64')}`)).toBeOneOf([undefined, END]);
    const changed = Buffer.from(blob);
    changed[at] = 0xff;
    expect(validBefore(`${type} ${changed.toString('base64')}`)).toBeOneOf([undefined, expect.any(Number)]);
  }
});
