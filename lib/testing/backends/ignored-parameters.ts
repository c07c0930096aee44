import type { Call } from '../server/model.js';
import { byBytes } from './list-keys.js';

/** Parameters of a request itself. */
const OF_REQUESTS = ['list', 'help', 'path'];

/** The warning for parameters that a path does not know. */
export function ignoredParameters({ operation, query, body }: Call, known: readonly string[]): string[] {
  const given = operation === 'read' || operation === 'list' ? [...query.keys()] : Object.keys(body);
  const ignored = given.filter((name) => !known.includes(name) && !OF_REQUESTS.includes(name));
  if (ignored.length === 0) return [];
  return [`Endpoint ignored these unrecognized parameters: [${ignored.sort(byBytes).join(' ')}]`];
}
