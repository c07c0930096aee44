import type { EngineRules } from './engine.js';
import { expiresAt } from './expires-at.js';
import { validBefore } from './ssh-certificate.js';

/** Signed keys of the SSH engine; its one-time passwords have leases. */
export const ssh: EngineRules = {
  name: 'ssh',
  owns: ({ mountType, path, data }) =>
    mountType === undefined ? SIGNED.test(path) && 'signed_key' in data : mountType === 'ssh',
  // The answer has no expiration beside the certificate, so it is read from the certificate.
  life: ({ data: { signed_key: key }, sentAt }) =>
    typeof key === 'string' ? expiresAt(validBefore(key), sentAt) : {},
  comparable: (data) => data,
};

/** Paths of the PKI engine have the same form. */
const SIGNED = /\/(?:issue|sign)\/[^/]/;
