import type { Explain } from '../client/failed-response.js';
import { sqlState, stateIn, withMeaning } from './sql-states.js';

/** Words with a meaning of their own: the server does not reach the system, or the lease itself is the reason. */
const OTHER_REASON =
  /dial |connection refused|no such host|timeout|deadline exceeded|EOF|lease (?:not found|expired)|invalid lease|renewable|cannot be renewed/i;

/** The system behind an engine has answered, and does not do what a renewal or a revocation of a lease needs. */
export const explainLease: Explain = ({ status, path, said }) => {
  if (status !== 400 || !path.startsWith('sys/') || said(OTHER_REASON)) return undefined;
  const work = ['renew', 'revoke'].find((one) => said(new RegExp(`failed to ${one} entry`, 'i')));
  if (work === undefined) return undefined;
  const state = stateIn(said);
  const why = state === undefined ? '' : ` (SQLSTATE ${withMeaning(state)})`;
  const remedy = sqlState(state ?? '')?.remedy ?? 'The log of the server has the reason.';
  return {
    code: 'VAULT_BACKEND_FAILED',
    message: `The system behind the secrets engine did not ${work} the lease${why}.`,
    hint: `For the operator: ${remedy} The lease stays valid meanwhile.`,
  };
};
