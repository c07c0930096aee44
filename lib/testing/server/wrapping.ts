import type { Call, Result, Token } from './model.js';
import type { ServerTime } from './server-time.js';
import type { TokenStore } from './token-store.js';
import { seconds } from './duration.js';
import { Refusal } from './refusal.js';
import { text } from './fields.js';

interface Wrapped {
  /** The wrapped answer. */
  envelope: object;
  creationPath: string;
  creationTime: string;
  ttl: number;
}

const invalid = () => new Refusal(400, 'wrapping token is not valid or does not exist');

/** Response wrapping: answers that a token of one use unwraps. */
export class Wrapping {
  readonly #time: ServerTime;
  readonly #tokens: TokenStore;
  readonly #wrapped = new WeakMap<Token, Wrapped>();

  constructor(time: ServerTime, tokens: TokenStore) {
    this.#time = time;
    this.#tokens = tokens;
  }

  /** Reads `X-Vault-Wrap-TTL` in seconds; 0 is no wrapping. */
  ttlOf(header: string | undefined): number {
    if (!header) return 0;
    const failed = (why: string) => new Refusal(400, `error parsing X-Vault-Wrap-TTL header: ${why}`);
    let ttl: number;
    try {
      ttl = seconds(header);
    } catch (error) {
      throw failed((error as Error).message);
    }
    if (ttl < 0) throw failed('requested wrap ttl cannot be negative');
    return ttl;
  }

  /** Wraps an answer and returns `wrap_info` of the answer that replaces it. */
  wrap(
    call: Pick<Call, 'namespace'>,
    creationPath: string,
    envelope: object,
    ttl: number,
    made?: Token,
  ): object {
    const { namespace } = call;
    const policies = ['response-wrapping'];
    const { token } = this.#tokens.create({
      policies,
      path: creationPath,
      namespace,
      ttl,
      explicitMaxTtl: ttl,
      uses: 1,
    });
    const creationTime = this.#time.date();
    this.#wrapped.set(token, { envelope, creationPath, creationTime, ttl });
    return {
      token: token.id,
      accessor: token.accessor,
      ttl,
      creation_time: creationTime,
      creation_path: creationPath,
      ...(made && { wrapped_accessor: made.accessor }),
    };
  }

  lookUp(call: Call): Result {
    const { ttl, creationPath, creationTime } = this.#find(call).wrapped;
    return { data: { creation_path: creationPath, creation_time: creationTime, creation_ttl: ttl } };
  }

  unwrap(call: Call): Result {
    if (call.body['token'] !== undefined && !call.token) throw new Refusal(403, 'permission denied');
    const { token, wrapped } = this.#find(call);
    this.#tokens.revoke(token);
    return { unwrapped: wrapped.envelope };
  }

  rewrap(call: Call): Result {
    const { token, wrapped } = this.#find(call);
    this.#tokens.revoke(token);
    return { wrapInfo: this.wrap(call, wrapped.creationPath, wrapped.envelope, wrapped.ttl) };
  }

  #find(call: Call): { token: Token; wrapped: Wrapped } {
    const id = text(call.body['token']) || call.rawToken;
    if (!id) throw new Refusal(403, 'error validating wrapping token: token is empty');
    const token = this.#tokens.find(id);
    const wrapped = token && this.#wrapped.get(token);
    if (!wrapped) throw invalid();
    return { token, wrapped };
  }
}
