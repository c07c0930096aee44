import type { Subscription } from 'rxjs';
import { background } from '../clock/background.js';
import type { Clock } from '../clock/clock.js';
import { printable } from '../errors/printable.js';
import type { VaultEvent } from '../events/events.js';
import type { VaultStatus } from '../events/status.js';
import type { CredentialsService } from '../services/credentials.service.js';
import { RemainingRecord } from './remaining.js';
import type { Picture, View } from './views.js';

/**
 * The part of `CredentialsService` that a dashboard shows.
 *
 * @inline
 */
export type DashboardSource = Pick<CredentialsService, 'status$' | 'events$' | 'recentEvents'>;

/** Shows events and status in a view, until the connections are closed. */
export class Dashboard {
  readonly #view: View;
  readonly #clock: Clock;
  readonly #note: () => string;
  readonly #onEnd: () => void;
  readonly #remaining = new RemainingRecord();
  readonly #subscriptions: Subscription[] = [];
  #cancel: (() => void) | undefined;
  #status: VaultStatus | undefined;
  #changed = false;
  #ended = false;

  constructor(source: DashboardSource, view: View, clock: Clock, note: () => string, onEnd: () => void) {
    this.#view = view;
    this.#clock = clock;
    this.#note = note;
    this.#onEnd = onEnd;
    for (const event of source.recentEvents) this.#event(event);
    const end = () => this.end();
    this.#subscriptions.push(
      source.events$.subscribe({ next: (event) => this.#event(event), complete: end }),
      // It fails if no login succeeds; then there is nothing to show.
      source.status$.subscribe({ next: (status) => this.#onStatus(status), error: end }),
    );
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancel?.();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    const picture = this.#picture();
    this.#view.end(picture, picture ? this.#remaining.of(picture.status) : []);
    this.#onEnd();
  }

  #event(event: VaultEvent): void {
    this.#remaining.event(event);
    this.#view.event(event);
  }

  #onStatus(status: VaultStatus): void {
    // The connections may have been closed before the start.
    if (this.#ended) return;
    const first = this.#status === undefined;
    this.#status = status;
    this.#remaining.status(status);
    this.#changed = true;
    if (first) this.#show();
  }

  #show(): void {
    const picture = this.#picture();
    if (picture) this.#view.show(picture);
    this.#changed = false;
    this.#cancel = background(() => this.#clock.setTimer(this.#view.every, () => this.#show()));
  }

  #picture(): Picture | undefined {
    if (!this.#status) return undefined;
    const now = new Date(this.#clock.wall());
    return { now, status: this.#status, changed: this.#changed, note: this.#noteText() };
  }

  /** A function of the application that throws must not end it. */
  #noteText(): string {
    try {
      return printable(String(this.#note()));
    } catch {
      return '';
    }
  }
}
