import type { Backend, Call, Operation, Result } from '../server/model.js';
import type { LeaseStore } from '../server/lease-store.js';
import { type Duration, seconds } from '../server/duration.js';
import { Unknown } from '../server/refusal.js';

/**
 * Options of a leased secret of a custom engine.
 *
 * @publicApi
 */
export interface SimulatedLeasedSecret {
  /** Default 0: 768h. */
  ttl?: Duration;
  /** Default 0: 768h. */
  maxTtl?: Duration;
  /** Default true. */
  renewable?: boolean;
  /** Returns the data of one read; each read has a lease of its own. */
  data: () => Record<string, unknown>;
}

/** Consumers with `parameters` send a write. */
const ISSUES: ReadonlySet<Operation> = new Set<Operation>(['read', 'update']);

/** A secrets engine whose answers and TTLs the test defines; leases work as for other engines. */
export class CustomEngine implements Backend {
  readonly type = 'simulated';
  readonly #leases: LeaseStore;
  readonly #secrets = new Map<string, SimulatedLeasedSecret>();

  constructor(leases: LeaseStore) {
    this.#leases = leases;
  }

  /** @param path below the mount */
  set(path: string, secret: SimulatedLeasedSecret): void {
    this.#secrets.set(path, secret);
  }

  handle({ operation, path, fullPath, namespace, token }: Call): Result {
    const secret = this.#secrets.get(path);
    if (!secret || !token || !ISSUES.has(operation)) throw new Unknown(404);
    const lease = this.#leases.create({
      path: fullPath,
      namespace,
      token,
      renewable: secret.renewable ?? true,
      ttls: () => ({ ttl: seconds(secret.ttl ?? 0), maxTtl: seconds(secret.maxTtl ?? 0) }),
      end: () => undefined,
    });
    return { lease, data: secret.data() };
  }
}
