import { Logger } from '@nestjs/common';
import type { Observable } from 'rxjs';
import type { DatabaseCredentials } from '../../services/credentials.service.js';
import { refuses } from '../redis/refusal.js';
import { describe } from '../rotation/describe.js';
import type { PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
import { Rotation } from '../rotation/rotation.js';
import type { RotatingRedis } from './rotating-redis.js';

const LOGGER = new Logger('RotatingRedis');

/** A client and its duplicates, which share one rotation. */
export class RedisFamily {
  readonly rotation: Rotation<RotatingRedis>;
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
        report: (event) => this.#report(event),
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

  #report(event: PoolEvent): void {
    const told = describe(event);
    if (told) LOGGER.warn(told);
    this.#each((member) => member.emit('rotation', event));
  }
}
