/** The engine of static secrets: read once for a decorator, read or watched by a service. */
export { KvSecrets as StaticSecrets } from './kv/kv-secrets.js';
export { intervalProblem } from './kv/kv-options.js';
export type { KvSecret as StaticSecret } from './kv/read-kv.js';
