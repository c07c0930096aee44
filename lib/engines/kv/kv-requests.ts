import type { ApiRequest } from '../../client/api.types.js';
import { writeBody } from '../../client/request-body.js';
import type { VaultError } from '../../errors/vault-error.js';
import type { Secret } from '../../secret/secret.js';
import { isSentAgain, type KvCall } from './kv-calls.js';
import type { KvTarget } from './kv-target.js';

/** A usable answer of the server. */
export interface KvAnswer {
  readonly status: number;
  readonly data: Secret<unknown>;
  /** Seconds. */
  readonly leaseDuration: number;
}

/** The parts of a connection that send requests. */
export interface KvSender {
  readonly options: { readonly timeout: number };
  /** Sends a request once, with the session's token. */
  readonly ask: (request: ApiRequest) => Promise<KvAnswer>;
  /** Retries transient failures of a job for `budget` milliseconds, as long as `again` allows it. */
  readonly retry: <T>(
    job: () => Promise<T>,
    budget: number,
    again?: (error: VaultError) => boolean,
  ) => Promise<T>;
}

/** The parameters of a request. */
export interface KvParameters extends Pick<ApiRequest, 'query' | 'explain'> {
  body?: unknown;
}

/** Sends a request of KV. */
export type KvSend = (call: KvCall, target: KvTarget, parameters?: KvParameters) => Promise<KvAnswer>;

/** The ways to send a request of KV. The value of a `Secret` within a body is sent in its place. */
export class KvRequests {
  readonly #sender: KvSender;

  constructor(sender: KvSender) {
    this.#sender = sender;
  }

  /** Sends a request once. */
  readonly once: KvSend = async ({ method, part, capabilities }, target, { query, explain, body } = {}) => {
    const path = target.at(part);
    return this.#sender.ask({
      method,
      path,
      capabilities,
      ...(query && { query }),
      ...(explain && { explain }),
      ...(body !== undefined && { json: writeBody(body, path, 'secret') }),
    });
  };

  /** Retries transient failures for the `timeout` of the connection if the call allows it. */
  readonly send: KvSend = (call, target, parameters) =>
    this.within(this.#sender.options.timeout)(call, target, parameters);

  /** Retries transient failures for `budget` milliseconds if the call allows it. */
  within(budget: number): KvSend {
    return (call, target, parameters) => {
      const path = target.at(call.part);
      return this.#sender.retry(
        () => this.once(call, target, parameters),
        budget,
        (error) => isSentAgain(call, error, path),
      );
    };
  }

  /** Retries a job of several requests for the `timeout` of the connection, as long as `again` allows it. */
  retry<T>(job: () => Promise<T>, again: (error: VaultError) => boolean): Promise<T> {
    return this.#sender.retry(job, this.#sender.options.timeout, again);
  }
}
