// LifetimeWatcher of the Go API client, with its default behaviour (errors are ignored until the end is near), and with
// the application of application.ts around it. Its two versions differ only in failures:
//
// Both (hashicorp/vault api/lifetime_watcher.go as of the move to backoff v4, openbao/openbao api/lifetime_watcher.go;
// lines of the latter at df6ce2c):
// - It renews at once when it starts (:275-296), so a login is followed by a renewal.
// - The grace is a tenth to a fifth of the TTL, at random (:395-412), drawn again only if a grant is longer than the time
//   left (:383-385): in steady state each watcher keeps its own.
// - It sleeps for two thirds of the grant and a third of the grace (:387-389): 0.70 to 0.73 of the TTL.
// - It ends when the time left is within the grace, or would be after the sleep (:362-364); then the application acts.
//
// HashiCorp's, since hashicorp/vault#26383: after an error it sleeps 10 s, then twice as long each time up to 5
// minutes, each varied by up to half at random (cenkalti/backoff v4.3.0 exponential.go:169-216). After "permission
// denied" it goes on as if the secret were not renewable, which at that point of a TTL means that it ends. (#28611,
// that it may not deliver the error at its end, has no effect here: the application acts on the end.)
//
// OpenBao's, and HashiCorp's before that change: the delay is computed and discarded (:347-351), and it sleeps for 0;
// openbao/openbao#3747 is open. Only the retries of the Go client separate two errors.
import type { Clock } from '../../../lib/clock/clock.js';
import type { Client, Credential, Instance, Surroundings } from '../instance.js';
import { Application } from './application.js';
import { Failure, pause, type Answer } from './exchange.js';
import { goClient } from './go-client.js';

const FIRST_DELAY = 10_000;
const LONGEST_DELAY = 300_000;

interface Flavour {
  /** Whether it sleeps after errors, and ends at a 403. */
  backsOff: boolean;
}

class LifetimeWatcher {
  failing = false;
  #stopped = false;
  readonly #clock: Clock;
  readonly #flavour: Flavour;
  /** The TTL granted by a renewal, in milliseconds. */
  readonly #renew: () => Promise<number>;

  constructor(clock: Clock, flavour: Flavour, renew: () => Promise<number>) {
    this.#clock = clock;
    this.#flavour = flavour;
    this.#renew = renew;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Resolves when the watcher ends; with false if the application has stopped it before. */
  async watch(granted: number): Promise<boolean> {
    let renewedAt = this.#clock.monotonic();
    let before = granted;
    let grace = drawGrace(granted);
    let delay = FIRST_DELAY;
    for (let renewable = true; !this.#stopped;) {
      let sleep: number | undefined;
      let left: number;
      try {
        if (!renewable) throw new Failure(403, 'not renewable');
        granted = await this.#renew();
        renewedAt = this.#clock.monotonic();
        left = granted;
        delay = FIRST_DELAY;
        this.failing = false;
      } catch (error) {
        this.failing = true;
        left = renewedAt + granted - this.#clock.monotonic();
        if (this.#flavour.backsOff && error instanceof Failure && error.status === 403) renewable = false;
        else {
          sleep = this.#flavour.backsOff ? delay * (0.5 + Math.random()) : 0;
          delay = Math.min(delay * 2, LONGEST_DELAY);
        }
      }
      if (sleep === undefined) {
        if (left > before) grace = drawGrace(left);
        sleep = (left * 2 + grace) / 3;
      }
      before = left;
      if (left <= grace || left - sleep <= grace) break;
      if (sleep > 0) await pause(this.#clock, sleep);
    }
    return !this.#stopped;
  }
}

function drawGrace(granted: number): number {
  return granted * (0.1 + Math.random() * 0.1);
}

class Watching implements Instance {
  readonly #application: Application;
  #tokenWatcher: LifetimeWatcher | undefined;
  #leaseWatcher: LifetimeWatcher | undefined;

  constructor(surroundings: Surroundings, flavour: Flavour) {
    const { clock, server } = surroundings;
    this.#application = new Application(surroundings, (call) => goClient(clock, server, call, 0), {
      keepToken: ({ client_token: token, lease_duration: seconds }) => {
        this.#tokenWatcher?.stop();
        const watcher = new LifetimeWatcher(clock, flavour, async () => {
          const call = { method: 'PUT', path: 'auth/token/renew-self', token, body: {} } as const;
          return ((await goClient(clock, server, call)).auth?.lease_duration ?? 0) * 1000;
        });
        this.#tokenWatcher = watcher;
        void watcher.watch(seconds * 1000).then((wanted) => wanted && this.#application.tokenEnds());
      },
      keepLease: ({ lease_id, lease_duration: seconds }: Answer, token) => {
        this.#leaseWatcher?.stop();
        const watcher = new LifetimeWatcher(clock, flavour, async () => {
          const call = { method: 'PUT', path: 'sys/leases/renew', token, body: { lease_id } } as const;
          return (await goClient(clock, server, call)).lease_duration * 1000;
        });
        this.#leaseWatcher = watcher;
        void watcher.watch(seconds * 1000).then((wanted) => wanted && this.#application.leaseEnds());
      },
    });
  }

  start(): void {
    this.#application.tokenEnds();
  }

  current(): Credential | undefined {
    return this.#application.current;
  }

  get failing(): boolean {
    return (
      this.#application.failing ||
      this.#tokenWatcher?.failing !== false ||
      this.#leaseWatcher?.failing !== false
    );
  }
}

export const lifetimeWatcher: Client = {
  id: 'lifetime-watcher',
  name: 'LifetimeWatcher (HashiCorp)',
  renewsAt: 0.717,
  make: (surroundings) => new Watching(surroundings, { backsOff: true }),
};

export const lifetimeWatcherOpenBao: Client = {
  id: 'lifetime-watcher-openbao',
  name: 'LifetimeWatcher (OpenBao)',
  renewsAt: 0.717,
  make: (surroundings) => new Watching(surroundings, { backsOff: false }),
};
