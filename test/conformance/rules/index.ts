import { errorTaxonomy } from './errors.js';
import { live } from './live.js';
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
];

/** Rules that are shown by tests of another kind. */
export const ELSEWHERE: Readonly<Record<string, string>> = {
  C12: 'test/unit/client/response-error.spec.ts',
  C19: 'test/integration/transport.spec.ts',
  F3: 'test/integration/pki.spec.ts',
  G4: 'test/integration/transport.spec.ts: no request is repeated that may have been done; logins are tried again spaced out',
  H3: 'test/integration/auth.spec.ts',
  H7: 'test/integration/namespaces.spec.ts',
  I1: 'test/unit/client/cluster-index.spec.ts',
  K5: 'test/integration/transport.spec.ts',
  K6: 'test/integration/secrecy.spec.ts, test/unit/errors',
};

/** Rules that are not kept yet, with the reason. */
export const PENDING: Readonly<Record<string, string>> = {};
