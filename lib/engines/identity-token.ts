import type { EngineRules } from './engine.js';

/** Identity tokens (OIDC): signed JWTs, which the server cannot revoke. */
export const identityToken: EngineRules = {
  name: 'identity-token',
  owns: ({ mountType, path }) => (mountType ?? 'identity') === 'identity' && TOKEN.test(path),
  life: ({ data: { ttl } }) => (typeof ttl === 'number' ? { expiresIn: ttl * 1_000 } : {}),
  comparable: (data) => data,
};

const TOKEN = /(?:^|\/)identity\/oidc\/token\/[^/]/;
