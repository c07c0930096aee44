import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { text } from './fields.js';
import type { Call, Namespace, Result, TokenInit } from './model.js';
import { Refusal } from './refusal.js';
import type { ServerTime } from './server-time.js';
import type { TokenStore } from './token-store.js';

/** Milliseconds for which a login waits for its second factor. */
const PENDING = 300_000;
const WARNING =
  'A login request was issued that is subject to MFA validation. Please make sure to validate the login by sending another ' +
  'request to mfa/validate endpoint.';
const MAX_ATTEMPTS = 5;

/**
 * A login enforcement that was set up: logins at its mount need a TOTP code.
 *
 * @publicApi
 */
export interface LoginEnforcement {
  /** The code of the current period of 30 s; the server accepts it once. */
  readonly code: () => string;
}

interface Enforcement {
  name: string;
  namespace: Namespace;
  /** Path of the mount, with `auth/`. */
  mount: string;
  method: Method;
}

interface Method {
  readonly id: string;
  readonly key: Buffer;
  /** The last code that was accepted. */
  served: string;
  /** Wrong codes in the current period. */
  failures: { period: number; count: number };
}

/** The second factors of logins: TOTP, per login enforcement. All users of a mount share the key of its method. */
export class SecondFactors {
  readonly #time: ServerTime;
  readonly #tokens: TokenStore;
  readonly #vault: boolean;
  readonly #enforcements: Enforcement[] = [];
  readonly #methods = new WeakMap<LoginEnforcement, Method>();
  readonly #pending = new Map<string, { init: TokenInit; needed: Enforcement[]; until: number }>();

  constructor(time: ServerTime, tokens: TokenStore, vault: boolean) {
    this.#time = time;
    this.#tokens = tokens;
    this.#vault = vault;
  }

  /**
   * Demands a second factor for logins at a mount.
   *
   * @param mount its path, with `auth/`
   * @param other an enforcement whose TOTP method it shares
   */
  enforce(name: string, namespace: Namespace, mount: string, other?: LoginEnforcement): LoginEnforcement {
    const failures = { period: 0, count: 0 };
    const shared = other && this.#methods.get(other);
    const method = shared ?? { id: randomUUID(), key: randomBytes(20), served: '', failures };
    this.#enforcements.push({ name, namespace, mount, method });
    const made = { code: () => this.#code(method) };
    this.#methods.set(made, method);
    return made;
  }

  /** Withholds the token of a login that is subject to an enforcement, and demands the second factor instead. */
  demand({ fullPath, namespace }: Call, result: Result): Result {
    const { auth } = result;
    const needed = this.#enforcements.filter(
      (one) => one.namespace === namespace && fullPath.startsWith(`${one.mount}/`),
    );
    if (!auth?.init.login || needed.length === 0) return result;
    this.#tokens.revoke(auth);
    const id = randomUUID();
    this.#pending.set(id, { init: auth.init, needed, until: this.#time.now + PENDING });
    return {
      warnings: [WARNING],
      demand: {
        client_token: '',
        accessor: '',
        policies: null,
        metadata: null,
        lease_duration: 0,
        renewable: false,
        entity_id: '',
        token_type: 'default',
        orphan: false,
        mfa_requirement: {
          mfa_request_id: id,
          mfa_constraints: Object.fromEntries(
            needed.map(({ name, method }) => [
              name,
              { any: [{ type: 'totp', id: method.id, uses_passcode: true }] },
            ]),
          ),
        },
        num_uses: 0,
      },
    };
  }

  /** Completes a login with the codes of `mfa_payload`. */
  validate({ body }: Call): Result {
    const id = text(body['mfa_request_id']);
    const pending = this.#pending.get(id);
    if (!pending || pending.until < this.#time.now) throw new Refusal(400, 'invalid request ID');
    const payload = (body['mfa_payload'] ?? {}) as Record<string, unknown>;
    for (const codes of Object.values(payload))
      if (!Array.isArray(codes)) throw new Refusal(400, 'invalid mfa payload');
    for (const one of pending.needed) this.#check(one, payload[one.method.id] as unknown[] | undefined);
    this.#pending.delete(id);
    const { token, warnings } = this.#tokens.create(pending.init);
    return { auth: token, warnings };
  }

  #check({ name, method: one }: Enforcement, codes: unknown[] | undefined): void {
    const failed = (why: string) => new Refusal(403, `failed to satisfy enforcement ${name}. error: ${why}`);
    const ofMethod = (why: string) =>
      failed(`2 errors occurred:\n\t* ${why}\n\t* login MFA validation failed for methodID: [${one.id}]\n\n`);
    const [code] = codes ?? [];
    if (code === undefined)
      throw failed(
        'failed to sanitize MFA creds, 1 error occurred:\n\t* failed to find MFA credentials associated with an MFA method ' +
          `ID ${one.id}, method name \n\n`,
      );
    const period = this.#period();
    if (one.failures.period !== period) one.failures = { period, count: 0 };
    if (one.failures.count >= MAX_ATTEMPTS)
      throw ofMethod(
        `maximum TOTP validation attempts ${one.failures.count + 1} exceeded the allowed attempts ${MAX_ATTEMPTS}. Please ` +
          'try again in 30s seconds',
      );
    const accepted = [period, period - 1].map((each) => totp(one.key, each));
    if (!accepted.includes(text(code)) || one.served === text(code)) {
      one.failures.count++;
      throw ofMethod(
        this.#vault ? 'failed to validate TOTP passcode' : 'MFA credentials not supplied or incorrect',
      );
    }
    one.served = text(code);
  }

  #period(): number {
    return Math.floor(this.#time.now / 30_000);
  }

  #code({ key }: Method): string {
    return totp(key, this.#period());
  }
}

/** RFC 6238 with SHA-1 and six digits. */
function totp(key: Buffer, counter: number): string {
  const message = Buffer.alloc(8);
  message.writeBigUInt64BE(BigInt(counter));
  const hash = createHmac('sha1', key).update(message).digest();
  const offset = (hash.at(-1) ?? 0) & 0xf;
  return String((hash.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}
