import { AsyncResource } from 'node:async_hooks';
import type { VaultErrorCode } from '../errors/vault-error.js';
import {
  CHANNELS,
  type ResendReason,
  type VaultAskMessage,
  type VaultPoolMessage,
  type VaultRequestMessage,
  type VaultRequestOutcome,
  type VaultSource,
  type VaultTaskMessage,
  type VaultTaskOutcome,
} from './channels.js';
import type { VaultEvent } from './events.js';

const { event, requestStart, requestEnd, taskAsked, taskStart, taskEnd, pool } = CHANNELS;

type Open<M extends { outcome?: unknown }> = Omit<M, 'outcome'> & { outcome?: M['outcome'] };

/** The messages of one connection for `diagnostics_channel`. Without a subscriber none is created. */
export class Diagnostics {
  readonly #source: VaultSource;
  readonly #monotonic: () => number;

  /** @param monotonic milliseconds */
  constructor(source: VaultSource, monotonic: () => number) {
    this.#source = source;
    this.#monotonic = monotonic;
  }

  event(one: VaultEvent): void {
    if (event.hasSubscribers) event.publish({ source: this.#source, event: one });
  }

  pool(init: Omit<VaultPoolMessage, 'source'>): void {
    if (pool.hasSubscribers) pool.publish({ source: this.#source, ...init });
  }

  /** A request begins. To be called in the context of its caller. */
  request(describe: () => Omit<VaultRequestMessage, 'source' | 'outcome'>): RequestTrace | undefined {
    if (!requestStart.hasSubscribers && !requestEnd.hasSubscribers) return undefined;
    const message = { source: this.#source, ...describe() };
    requestStart.publish(message);
    return new RequestTrace(message);
  }

  /** Work that will call {@link ask}, for later: it runs in the context of the caller of this method. */
  inContext(work: () => void): () => void {
    return taskAsked.hasSubscribers ? AsyncResource.bind(work) : work;
  }

  /** A caller, or a task, asks for a task. To be called in the context of the caller. */
  ask(task?: VaultTaskMessage): VaultAskMessage | undefined {
    if (!taskAsked.hasSubscribers) return undefined;
    const message: VaultAskMessage = { source: this.#source, ...(task && { task }) };
    taskAsked.publish(message);
    return message;
  }

  /** A task begins. */
  task({
    asked,
    path,
    ...init
  }: Pick<VaultTaskMessage, 'kind' | 'reason'> & {
    path?: string;
    asked: VaultAskMessage | undefined;
  }): TaskTrace | undefined {
    if (!taskStart.hasSubscribers && !taskEnd.hasSubscribers) return undefined;
    const message: VaultTaskMessage = {
      source: this.#source,
      ...init,
      ...(path !== undefined && { path }),
      ...(asked && { asked }),
    };
    taskStart.publish(message);
    return new TaskTrace(message, this.#monotonic);
  }
}

/** One request for which there is a subscriber. */
export class RequestTrace {
  readonly #message: Open<VaultRequestMessage>;
  readonly #resends: ResendReason[] = [];
  #address: string | undefined;

  constructor(message: Open<VaultRequestMessage>) {
    this.#message = message;
  }

  resent(reason: ResendReason): void {
    this.#resends.push(reason);
  }

  answeredBy(address: string): void {
    this.#address = address;
  }

  end(outcome: Omit<VaultRequestOutcome, 'resends' | 'address'>): void {
    const address = this.#address;
    this.#message.outcome = {
      ...outcome,
      ...(address !== undefined && { address }),
      resends: this.#resends,
    };
    requestEnd.publish(this.#message);
  }
}

/** One task for which there is a subscriber. */
export class TaskTrace {
  /** For the requests that are part of it. */
  readonly message: VaultTaskMessage;
  readonly #monotonic: () => number;
  readonly #beganAt: number;

  constructor(message: VaultTaskMessage, monotonic: () => number) {
    this.message = message;
    this.#monotonic = monotonic;
    this.#beganAt = monotonic();
  }

  end({ serial, error }: { serial?: number | undefined; error?: VaultErrorCode | undefined }): void {
    const outcome: VaultTaskOutcome = {
      duration: this.#monotonic() - this.#beganAt,
      ...(serial !== undefined && { serial }),
      ...(error !== undefined && { error }),
    };
    (this.message as Open<VaultTaskMessage>).outcome = outcome;
    taskEnd.publish(this.message);
  }
}
