import { AsyncResource } from 'node:async_hooks';
import type { VaultError, VaultErrorCode } from '../errors/vault-error.js';
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
import type { Operation } from './counters.js';
import type { VaultEvent } from './events.js';
import { pathTemplate } from './path-template.js';

const { event, requestStart, requestEnd, taskAsked, taskStart, taskEnd, pool } = CHANNELS;

/** A message, or its outcome, that is not complete yet. */
type Open<T> = { -readonly [K in keyof T]: T[K] };

const NO_RESENDS: readonly ResendReason[] = Object.freeze([]);

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

  /** A request begins. To be called in the context of its caller. `template` is that of its path, if it is known. */
  request(
    operation: Operation,
    request: Pick<VaultRequestMessage, 'method' | 'path' | 'task'> & { template?: string },
  ): RequestTrace | undefined {
    if (!requestStart.hasSubscribers && !requestEnd.hasSubscribers) return undefined;
    const { method, task, template } = request;
    const path = template ?? pathTemplate(request.path);
    const message: Open<VaultRequestMessage> = { source: this.#source, operation, method, path };
    if (task) message.task = task;
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

/** The parts of an answer that a message has. */
interface Answer {
  readonly status: number;
  readonly requestId?: string;
  readonly leaseId: string;
  readonly cached: boolean;
}

/** One request for which there is a subscriber. There may be many a second: nothing is made that no message has. */
export class RequestTrace {
  readonly #message: Open<VaultRequestMessage>;
  #resends = NO_RESENDS;
  #address: string | undefined;

  constructor(message: Open<VaultRequestMessage>) {
    this.#message = message;
  }

  resent(reason: ResendReason): void {
    this.#resends = [...this.#resends, reason];
  }

  answeredBy(address: string): void {
    this.#address = address;
  }

  /** It has an answer. */
  answered(duration: number, { status, requestId, leaseId, cached }: Answer): void {
    const leased = leaseId !== '' && !cached && this.#message.operation !== 'renew-lease';
    const outcome: Open<VaultRequestOutcome> = { duration, status, leased, cached, resends: this.#resends };
    if (requestId) outcome.requestId = requestId;
    this.#end(outcome);
  }

  failed(duration: number, { code, status }: VaultError): void {
    const outcome: Open<VaultRequestOutcome> = {
      duration,
      error: code,
      leased: false,
      cached: false,
      resends: this.#resends,
    };
    if (status !== undefined) outcome.status = status;
    this.#end(outcome);
  }

  #end(outcome: Open<VaultRequestOutcome>): void {
    if (this.#address !== undefined) outcome.address = this.#address;
    this.#message.outcome = outcome;
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
