import type { Explanation } from '../client/failed-response.js';

/** The meaning of a login for which the system behind the method did not answer the server. */
export function systemFailed(system: string): Explanation {
  return {
    code: 'VAULT_BACKEND_FAILED',
    message: `The server gets no answer from ${system} that the auth method asks.`,
    hint: `For the operator: check that ${system} runs, and that the server may connect to it. The login is repeated.`,
  };
}

/** Words of servers about a connection that failed. */
export const UNREACHABLE = /dial |connection refused|no such host|timeout|Network Error|network is|EOF$/i;
