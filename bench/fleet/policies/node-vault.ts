// node-vault 0.12.0: startTokenRenewal and startLeaseRenewal (src/index.js:379-523), with the application of
// application.ts around it.
// - Renews after 0.8 of the TTL in whole seconds, without jitter (:408, :483).
// - One error ends it: it clears the timer and emits an event (:419-424, :494-499). The README does not mention these
//   events; kinder: the application listens, and logs in or issues anew at once.
// - No retries, and no default timeout.
import type { Clock } from '../../../lib/clock/clock.js';
import type { Client, Credential, Instance, Surroundings } from '../instance.js';
import { Application } from './application.js';
import { exchange } from './exchange.js';

const AT = 0.8;
/** Stands for no timeout: longer than any run. */
const TIMEOUT = 2 ** 31 - 1;

class Renewal {
  #cancel = () => {};
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param renew resolves with the granted seconds */
  start(seconds: number, renew: () => Promise<number>, onEnd: () => void): void {
    this.#cancel();
    let cancelled = false;
    const cancelTimer = this.#clock.setTimer(Math.max(1, Math.floor(seconds * AT)) * 1000, () => {
      renew().then(
        (granted) => {
          if (!cancelled) this.start(granted, renew, onEnd);
        },
        () => {
          if (!cancelled) onEnd();
        },
      );
    });
    this.#cancel = () => {
      cancelled = true;
      cancelTimer();
    };
  }
}

class NodeVault implements Instance {
  readonly #application: Application;

  constructor(surroundings: Surroundings) {
    const { clock, server } = surroundings;
    const token = new Renewal(clock);
    const lease = new Renewal(clock);
    const send = (call: Omit<Parameters<typeof exchange>[1], 'timeout'>) =>
      exchange(server, { ...call, timeout: TIMEOUT });
    this.#application = new Application(surroundings, send, {
      keepToken: ({ client_token, lease_duration }) =>
        token.start(
          lease_duration,
          async () => {
            const call = {
              method: 'POST',
              path: 'auth/token/renew-self',
              token: client_token,
              body: {},
            } as const;
            return (await send(call)).auth?.lease_duration ?? 0;
          },
          () => this.#application.tokenEnds(),
        ),
      keepLease: ({ lease_id, lease_duration }, client_token) =>
        lease.start(
          lease_duration,
          async () => {
            const body = { lease_id };
            return (await send({ method: 'PUT', path: 'sys/leases/renew', token: client_token, body }))
              .lease_duration;
          },
          () => this.#application.leaseEnds(),
        ),
    });
  }

  start(): void {
    this.#application.tokenEnds();
  }

  current(): Credential | undefined {
    return this.#application.current;
  }

  get failing(): boolean {
    return this.#application.failing;
  }
}

export const nodeVault: Client = {
  id: 'node-vault',
  name: 'node-vault',
  renewsAt: AT,
  make: (surroundings) => new NodeVault(surroundings),
};
