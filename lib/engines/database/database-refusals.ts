import type { Explain } from '../../client/failed-response.js';
import { sqlState, stateIn, withMeaning } from '../sql-states.js';

/** Failures of the database behind the engine. */
export const explainDatabase: Explain = ({ status, path, said }) => {
  if (status < 500) return undefined;
  if (said(/failed to (find entry for connection|execute query)|is not an allowed role/i)) {
    const state = stateIn(said);
    const remedy = state === undefined ? '' : `${sqlState(state)?.remedy} `;
    return {
      code: 'VAULT_BACKEND_FAILED',
      message:
        'The system behind the secrets engine is not set up correctly' +
        `${state === undefined ? '' : ` (SQLSTATE ${withMeaning(state)})`}.`,
      hint: `For the operator: ${remedy}${remedy ? 'C' : 'c'}ompare the role with its connection (allowed_roles, SQL) at ${path}.`,
    };
  }
  if (said(/database|transaction/i)) {
    return {
      code: 'VAULT_BACKEND_FAILED',
      message: 'The system behind the secrets engine cannot be reached by the server.',
      hint: 'For the operator: check that it runs and that the server may connect to it.',
    };
  }
  return undefined;
};
