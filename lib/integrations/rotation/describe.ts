import type { PoolEvent } from './rotation-driver.js';

/** A line for the log, where an operator should know. */
export function describe(event: PoolEvent): string | undefined {
  const about = `${event.path} #${event.serial}`;
  switch (event.type) {
    case 'rotated':
      return undefined;
    case 'proof-failed':
      return `${about} cannot log in yet, so the connections before it stay in use: ${codeOf(event.error)}`;
    case 'refused':
      return `The server refuses ${about}; new credentials are asked for.`;
    case 'stragglers':
      return `${event.count} connection(s) of ${about} were in use past the drain window, and were closed.`;
    case 'warning':
      return `${about}: ${event.message}`;
  }
}

/** Drivers put what they like into their messages, so only the code is told. */
function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return [code, name].find((one) => typeof one === 'string') ?? 'unknown error';
}
