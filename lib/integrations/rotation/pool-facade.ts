import type { Observable } from 'rxjs';
import { sleep, type Clock } from '../../clock/clock.js';
import type { PoolEvent } from '../../events/pool-events.js';
import { toLogins, type LoginCredentials } from './login-credentials.js';
import { PoolEvents } from './pool-events.js';
import { firstLoginError, type PoolKind } from './pool-kind.js';
import type { RotationDriver } from './rotation-driver.js';
import { REPLACEMENT_TIMEOUT, Rotation } from './rotation.js';

/** One kind of pool: how it handles its connections. `C` is one connection. */
export interface PoolDriver<C> extends Omit<RotationDriver<C>, 'isLoginRejected'> {
  /** Milliseconds. */
  drain: number;
  onEvent(event: PoolEvent): void;
  /** Called once when the stream ends. */
  onStreamEnd(): void;
}

/** The part of a rotating pool that is the same for every driver. */
export class PoolFacade<C> {
  readonly events: PoolEvents;
  readonly drain: number;
  readonly #kind: PoolKind;
  readonly #start: () => Rotation<C>;
  #rotation: Rotation<C>;
  #streamEnded = false;
  #onIdle = () => {};

  constructor(credentials$: Observable<LoginCredentials>, kind: PoolKind, driver: PoolDriver<C>) {
    const { drain } = driver;
    this.#kind = kind;
    this.drain = drain;
    this.events = new PoolEvents(kind.packages[0], (event) => driver.onEvent(event));
    const onEnd = () => {
      this.#streamEnded = true;
      driver.onStreamEnd();
    };
    const { isLoginRejected } = kind;
    const options = { drain, events: this.events, onEnd };
    this.#start = () => new Rotation(toLogins(credentials$), { ...driver, isLoginRejected }, options);
    this.#rotation = this.#start();
  }

  get rotation(): Rotation<C> {
    return this.#rotation;
  }

  get clock(): Clock {
    return this.#rotation.clock;
  }

  /** After {@link Rotation.end}: starts with the credentials that are current now, unless the stream has completed. */
  reopen(): void {
    if (this.#rotation.ended && !this.#streamEnded) this.#rotation = this.#start();
  }

  /** The error of a first login: that of the driver, unless the credentials are its cause. */
  firstLoginError(error: unknown): unknown {
    return firstLoginError(this.#kind, error, this.#rotation.current?.path);
  }

  /**
   * Opens a connection. Tries again with newer credentials if the login is rejected and they arrive within {@link
   * REPLACEMENT_TIMEOUT}, or if they arrived during the attempt: that one was aborted then, at any point of its login.
   */
  async connect<T>(open: () => Promise<T>, isRejection = this.#kind.isLoginRejected): Promise<T> {
    for (;;) {
      const { current } = this.#rotation;
      try {
        return await open();
      } catch (error) {
        const mayHelp = current && (current !== this.#rotation.current || isRejection(error));
        const replaced = mayHelp && (await this.#rotation.waitForReplacement(current, REPLACEMENT_TIMEOUT));
        if (!replaced) throw error;
      }
    }
  }

  /** Waits until no connection is in use, at most for the drain window. */
  async untilIdle(): Promise<void> {
    let isLate = false;
    const late = sleep(this.clock, this.drain, undefined, false).then(() => (isLate = true));
    while (this.#rotation.uses > 0 && !isLate) {
      await Promise.race([late, new Promise<void>((resolve) => (this.#onIdle = resolve))]);
      // An operation may take a connection several times.
      await new Promise((resolve) => void setImmediate(resolve));
    }
  }

  /** The application has finished a use of a connection. */
  useEnded(): void {
    if (this.#rotation.uses === 0) this.#onIdle();
  }
}
