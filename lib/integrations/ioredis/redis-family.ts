import type { Observable } from 'rxjs';
import type { DatabaseCredentials } from '../../services/credentials.service.js';
import { refuses } from '../redis/refusal.js';
import { Reports } from '../rotation/reports.js';
import type { RotationDriver, RotationOptions } from '../rotation/rotation-driver.js';
import { Rotation } from '../rotation/rotation.js';
import type { RotatingRedis } from './rotating-redis.js';

/** A client and its duplicates, which share one rotation. */
export class RedisFamily {
  #rotation: Rotation<RotatingRedis>;
  readonly reports = new Reports('RotatingRedis', (event) =>
    this.#each((member) => member.emit('rotation', event)),
  );
  readonly #members = new Set<RotatingRedis>();
  readonly #begin: () => Rotation<RotatingRedis>;
  /** The stream has come to its end. */
  #over = false;

  /** @param prove logs in with these credentials on a connection of its own */
  constructor(
    credentials$: Observable<DatabaseCredentials>,
    prove: (credentials: DatabaseCredentials) => Promise<void>,
    options: RotationOptions,
  ) {
    const driver: RotationDriver<RotatingRedis> = {
      prove,
      refuses,
      published: () => this.#each((member) => member.follow()),
      // They log in anew on the connection that they have.
      superseded: () => undefined,
      end: (member) => member.disconnect(true),
    };
    const onEnd = () => {
      this.#over = true;
      this.#each((member) => member.finish());
    };
    this.#begin = () => new Rotation(credentials$, driver, { ...options, reports: this.reports, onEnd });
    this.#rotation = this.#begin();
  }

  get rotation(): Rotation<RotatingRedis> {
    return this.#rotation;
  }

  /** Also where it connects again after the last of them has ended: that begins with the credentials of then. */
  join(member: RotatingRedis): void {
    this.#members.add(member);
    if (this.#rotation.ended && !this.#over) this.#rotation = this.#begin();
  }

  leave(member: RotatingRedis): void {
    this.#members.delete(member);
    if (this.#members.size === 0) this.rotation.end();
  }

  #each(act: (member: RotatingRedis) => void): void {
    for (const member of this.#members) act(member);
  }
}
