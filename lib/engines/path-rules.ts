import type { PathRules } from '../client/failed-response.js';
import { explainDatabase } from './database/database-refusals.js';
import { explainKv } from './kv/kv-refusals.js';
import { explainLease } from './lease-refusals.js';
import { explainSigned } from './signed-refusals.js';

/** The knowledge of the built-in engines about paths, for requests of any kind. */
export const pathRules: PathRules = {
  creates: (path) => /(^|\/)creds\//.test(path),
  explain: (refusal) =>
    explainKv(refusal) ?? explainSigned(refusal) ?? explainLease(refusal) ?? explainDatabase(refusal),
  missingHint: 'Check the name, and for KV the mount and its version (`kvVersion`).',
};
