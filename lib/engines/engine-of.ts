import type { Engine, EngineOf } from '../leases/engine.js';
import { gcpToken } from './gcp-token.js';
import { identityToken } from './identity-token.js';
import { kv } from './kv/kv-engine.js';
import { leased } from './leased.js';
import { pki } from './pki.js';
import { ssh } from './ssh.js';
import { awsStaticKeys, staticRole } from './static-role.js';

/** The first that owns an answer has it: KV before all, as an operator may write any path and any keys there. */
const ENGINES: readonly Engine[] = [kv, awsStaticKeys, staticRole, identityToken, gcpToken, pki, ssh, leased];

export const engineOf: EngineOf = (answer) => ENGINES.find((engine) => engine.owns(answer)) ?? leased;
