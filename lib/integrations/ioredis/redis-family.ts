import type { Observable } from 'rxjs';
import type { UserCredentials } from '../../leases/user-credentials.js';
import { IOREDIS } from '../redis/rejection.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import { PoolFacade } from '../rotation/pool-facade.js';
import type { PoolEvent } from '../rotation/rotation-driver.js';

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
export class RedisFamily extends PoolFacade<FamilyMember> {
  readonly #members: Set<FamilyMember>;

  /** @param verify opens one connection with these credentials, and closes it */
  constructor(
    credentials$: Observable<LoginCredentials>,
    verify: (credentials: UserCredentials) => Promise<void>,
    drain: number,
  ) {
    const members = new Set<FamilyMember>();
    const each = (act: (member: FamilyMember) => void) => members.forEach(act);
    super(credentials$, IOREDIS, {
      drain,
      verify,
      // The members log in again on their open connections.
      onPublished: () => each((member) => member.logInAgain()),
      end: (member) => member.disconnect(true),
      onEvent: (event) => each((member) => member.emit('rotation', event)),
      onStreamEnd: () => each((member) => member.finish()),
    });
    this.#members = members;
  }

  /**
   * Adds a client that connects. After the last client has ended, starts again with the credentials that are current
   * then.
   */
  add(member: FamilyMember): void {
    this.#members.add(member);
    this.reopen();
  }

  remove(member: FamilyMember): void {
    this.#members.delete(member);
    if (this.#members.size === 0) this.rotation.end();
  }
}
