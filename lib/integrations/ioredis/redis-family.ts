import type { Observable } from 'rxjs';
import type { DatabaseCredentials } from '../../services/credentials.service.js';
import { refuses } from '../redis/refusal.js';
import { Reports } from '../rotation/reports.js';
import type { RotationOptions } from '../rotation/rotation-driver.js';
import { Rotation } from '../rotation/rotation.js';
import type { RotatingRedis } from './rotating-redis.js';

/** A client and its duplicates, which share one rotation. */
export class RedisFamily {
  readonly rotation: Rotation<RotatingRedis>;
  readonly reports = new Reports('RotatingRedis', (event) =>
    this.#each((member) => member.emit('rotation', event)),
  );
  readonly #members = new Set<RotatingRedis>();

  /** @param prove logs in with these credentials on a connection of its own */
  constructor(
    credentials$: Observable<DatabaseCredentials>,
    prove: (credentials: DatabaseCredentials) => Promise<void>,
    options: RotationOptions,
  ) {
    this.rotation = new Rotation(
      credentials$,
      {
        prove,
        refuses,
        published: () => this.#each((member) => member.follow()),
        // They log in anew on the connection that they have.
        superseded: () => undefined,
        end: (member) => member.disconnect(true),
      },
      {
        ...options,
        reports: this.reports,
        onEnd: () => this.#each((member) => member.finish()),
      },
    );
  }

  join(member: RotatingRedis): void {
    this.#members.add(member);
  }

  leave(member: RotatingRedis): void {
    this.#members.delete(member);
    if (this.#members.size === 0) this.rotation.end();
  }

  #each(act: (member: RotatingRedis) => void): void {
    for (const member of this.#members) act(member);
  }
}
