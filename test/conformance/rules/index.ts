import { errorTaxonomy } from './errors.js';
import { live } from './live.js';
import { lives } from './lives.js';
import { load } from './load.js';
import { logins } from './logins.js';
import { maxTtl } from './max-ttl.js';
import { renewing } from './renewing.js';
import type { Rules } from './rule.js';
import { secrets } from './secrets.js';
import { service } from './service.js';
import { time } from './time.js';
import { tokens } from './tokens.js';

export const RULES: Rules = [
  ...time,
  ...renewing,
  ...maxTtl,
  ...load,
  ...errorTaxonomy,
  ...tokens,
  ...logins,
  ...service,
  ...secrets,
  ...live,
  ...lives,
];

/** Rules with tests of another kind, whose titles begin with the id. */
export const ELSEWHERE: readonly string[] = ['C12', 'C19', 'F3', 'G4', 'H3', 'H7', 'I1', 'K5', 'K6'];

/** Rules that are not kept yet, with the reason. */
export const PENDING: Readonly<Record<string, string>> = {};
