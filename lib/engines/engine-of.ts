import type { EngineRules, EngineOf } from './engine.js';
import { gcpToken } from './gcp-token.js';
import { identityToken } from './identity-token.js';
import { kv } from './kv/kv-engine.js';
import { leased } from './leased.js';
import { pki } from './pki.js';
import { ssh } from './ssh.js';
import { awsStaticKeys, staticRole } from './static-role.js';

/** The first engine that owns an answer applies. KV is first, because an operator chooses its paths and keys freely. */
const ENGINES: readonly EngineRules[] = [
  kv,
  awsStaticKeys,
  staticRole,
  identityToken,
  gcpToken,
  pki,
  ssh,
  leased,
];

export const engineOf: EngineOf = (answer) => ENGINES.find((engine) => engine.owns(answer)) ?? leased;
