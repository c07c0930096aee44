import type { VaultError } from '../errors/vault-error.js';

/** JSON of one line. An error has its code, message and hint, as `JSON.stringify` leaves out messages. */
export function jsonLine(value: object): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (!(member instanceof Error)) return member;
    const { code, message, hint } = member as VaultError;
    return { code, message, hint };
  });
}
