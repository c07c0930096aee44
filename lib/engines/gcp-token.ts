import type { Answer, EngineRules } from './engine.js';
import { expiresAt } from './expires-at.js';

/** Access tokens of the Google Cloud engine. Its service account keys have leases. */
export const gcpToken: EngineRules = {
  name: 'gcp-token',
  owns: (answer) => TOKEN.test(answer.path) && isOfGcp(answer),
  isComplete: ({ token, token_ttl: ttl, expires_at_seconds: end }) =>
    typeof token === 'string' && token !== '' && (typeof ttl === 'number' || typeof end === 'number'),
  // Google may return the same token again with less time left.
  comparable: (data) => ({ ...data, token_ttl: undefined }),
  life: ({ data: { token_ttl: ttl, expires_at_seconds: end }, sentAt }) =>
    typeof ttl === 'number' ? { expiresIn: Math.max(0, ttl * 1_000) } : expiresAt(end, sentAt),
};

const TOKEN = /\/(?:token\/[^/]+|(?:roleset|static-account|impersonated-account)\/[^/]+\/token)$/;

function isOfGcp({ mountType, data }: Answer): boolean {
  return mountType === undefined ? 'expires_at_seconds' in data : mountType === 'gcp';
}
