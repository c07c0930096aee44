import type { Observable } from 'rxjs';
import { isLoginRejected } from '../redis/rejection.js';
import { PoolEvents } from '../rotation/pool-events.js';
import type { PoolEvent, RotationDriver, RotationOptions } from '../rotation/rotation-driver.js';
import { Rotation } from '../rotation/rotation.js';
import type { UserCredentials } from '../../leases/user-credentials.js';

/** A client of a family. */
export interface FamilyMember {
  emit(event: 'rotation', details: PoolEvent): boolean;
  /** Logs in with the current credentials, on the open connection. */
  logInAgain(): void;
  /** Closes the client, as the stream completed. */
  finish(): void;
  disconnect(reconnect: boolean): void;
}

/** A client and its duplicates, which share one rotation. */
export class RedisFamily {
  #rotation: Rotation<FamilyMember>;
  readonly events = new PoolEvents('RotatingIoredis', (event) =>
    this.#each((member) => member.emit('rotation', event)),
  );
  readonly #members = new Set<FamilyMember>();
  readonly #start: () => Rotation<FamilyMember>;
  #streamEnded = false;

  /** @param verify opens one connection with these credentials, and closes it */
  constructor(
    credentials$: Observable<UserCredentials>,
    verify: (credentials: UserCredentials) => Promise<void>,
    options: RotationOptions,
  ) {
    const driver: RotationDriver<FamilyMember> = {
      verify,
      isLoginRejected,
      onPublished: () => this.#each((member) => member.logInAgain()),
      // The members log in again on their open connections.
      onSuperseded: () => undefined,
      end: (member) => member.disconnect(true),
    };
    const onEnd = () => {
      this.#streamEnded = true;
      this.#each((member) => member.finish());
    };
    this.#start = () => new Rotation(credentials$, driver, { ...options, events: this.events, onEnd });
    this.#rotation = this.#start();
  }

  get rotation(): Rotation<FamilyMember> {
    return this.#rotation;
  }

  /**
   * Adds a client that connects. After the last client has ended, starts again with the credentials that are current
   * then.
   */
  add(member: FamilyMember): void {
    this.#members.add(member);
    if (this.#rotation.ended && !this.#streamEnded) this.#rotation = this.#start();
  }

  remove(member: FamilyMember): void {
    this.#members.delete(member);
    if (this.#members.size === 0) this.rotation.end();
  }

  #each(act: (member: FamilyMember) => void): void {
    for (const member of this.#members) act(member);
  }
}
