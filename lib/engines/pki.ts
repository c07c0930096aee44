import type { EngineRules } from './engine.js';
import { expiresAt } from './expires-at.js';

/** Certificates of the PKI engine. */
export const pki: EngineRules = {
  name: 'pki',
  owns: ({ mountType, path, data }) =>
    mountType === undefined ? ISSUED.test(path) && 'certificate' in data : mountType === 'pki',
  life: ({ data: { expiration }, sentAt }) => expiresAt(expiration, sentAt),
  isComplete: ({ certificate }) => typeof certificate === 'string' && certificate !== '',
  comparable: (data) => data,
};

/** Paths of the SSH engine have the same form. */
const ISSUED = /\/(?:issue|sign|sign-verbatim)(?:\/|$)/;
