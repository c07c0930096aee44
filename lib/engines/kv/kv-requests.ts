import type { ApiRequest } from '../../client/api.types.js';
import { writeBody } from '../../client/request-body.js';
import { VaultError, withSentence } from '../../errors/vault-error.js';
import type { Secret } from '../../secret/secret.js';
import { isLost, isSentAgain, type KvCall } from './kv-calls.js';
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
export interface KvParameters extends Pick<ApiRequest, 'query' | 'uncached'> {
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
  readonly once: KvSend = async ({ method, part, capabilities }, target, { body, ...parameters } = {}) => {
    const path = target.at(part);
    return this.#sender.ask({
      method,
      path,
      template: target.templateAt(part),
      capabilities,
      ...parameters,
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
      const again = (error: VaultError) => isSentAgain(call, error, path);
      return this.retry(call, target, () => this.once(call, target, parameters), again, budget);
    };
  }

  /**
   * Retries a job that sends a call, as long as `again` allows it. If one attempt may have been executed, the error says
   * so; a conflict is the outcome itself.
   */
  async retry<T>(
    { method, part }: KvCall,
    target: KvTarget,
    job: () => Promise<T>,
    again: (error: VaultError) => boolean,
    budget = this.#sender.options.timeout,
  ): Promise<T> {
    const path = target.at(part);
    const reads = method === 'GET' || method === 'LIST';
    let lost: VaultError | undefined;
    const attempt = (error: VaultError) => {
      if (!reads && isLost(error, path)) lost = error;
      return again(error);
    };
    try {
      return await this.#sender.retry(job, budget, attempt);
    } catch (error) {
      if (!lost || !(error instanceof VaultError) || error.code === 'VAULT_CAS_CONFLICT') throw error;
      if (error === lost && lost.outcomeUnknown) throw error;
      const which = error === lost ? 'the request' : 'an earlier attempt';
      throw withSentence(error, `The server may have executed ${which}.`, { outcomeUnknown: true });
    }
  }
}
