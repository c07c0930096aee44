import type { ApiAuth, ApiRequest, ApiResponse } from '../client/api.types.js';
import { isObject } from '../client/answer-members.js';
import { textOf } from '../client/answer.js';
import type { Explain } from '../client/failed-response.js';
import { listed } from '../errors/printable.js';
import { hadNoEffect, VaultError } from '../errors/vault-error.js';
import type { Secret } from '../secret/secret.js';
import type { RefusedLogins } from './refused-logins.js';

/** The request that completes a login with codes. */
const VALIDATE = 'sys/mfa/validate';
/** Milliseconds for which a code is not sent again; longer than servers accept one. */
const CODE_SERVES = 300_000;

/** Path and namespace of a login. */
interface Place {
  readonly path: string;
  readonly namespace?: string;
}

/**
 * The second factor of one login: a code that is read before the login is sent, for the case that the server asks for
 * it. A code that was sent once is not sent again, as servers count it as a wrong one.
 */
export class SecondFactor {
  readonly #place: Place;
  readonly #refused: RefusedLogins;
  readonly #code: string | undefined;

  /** @throws VaultError if the code was sent before */
  constructor(place: Place, refused: RefusedLogins, code: Secret | undefined) {
    this.#place = place;
    this.#refused = refused;
    this.#code = code?.reveal();
    if (code) refused.assertNew(this.#sent);
  }

  get #sent() {
    return { ...this.#place, code: this.#code };
  }

  /** The record of a refused code of this login, whichever it was. */
  get #anyRefused() {
    return { ...this.#place, code: 'refused' };
  }

  /**
   * Completes a login for which the server demands a second factor.
   *
   * @returns the answer with the token: the given one, if the server demands nothing
   */
  async complete(
    answer: ApiResponse,
    send: (request: ApiRequest) => Promise<ApiResponse>,
  ): Promise<ApiResponse> {
    const { path, ...place } = this.#place;
    const requirement = answer.auth?.client_token === '' ? requirementOf(answer.auth) : undefined;
    if (!requirement) return answer;
    const code = this.#code;
    const method = methodOf(requirement);
    if (code === undefined || method === undefined)
      throw secondFactorNeeded(path, requirement, code !== undefined);
    this.#refused.add(this.#sent, codeServed(path), CODE_SERVES);
    const body = { mfa_request_id: requirement.id, mfa_payload: { [method]: [code] } };
    const request = { ...place, method: 'POST', path: VALIDATE, body, uncached: true } as const;
    try {
      const completed = await send({ ...request, explain: explainValidation });
      this.#refused.forget(this.#anyRefused);
      return completed;
    } catch (error) {
      if (error instanceof VaultError && hadNoEffect(error)) this.#refused.forget(this.#sent);
      if (!(error instanceof VaultError) || error.status !== 403) throw error;
      // The first one may have served another process: the next code of the source decides.
      const refusal = codeRefused(path, requirement, this.#refused.has(this.#anyRefused));
      for (const record of [this.#sent, this.#anyRefused]) this.#refused.add(record, refusal, CODE_SERVES);
      throw refusal;
    }
  }
}

/** A demand for further factors, in place of a token. */
interface Requirement {
  /** The id of the login that waits for them. */
  readonly id: string;
  /** The login enforcements, each of which is met by one of its methods. */
  readonly constraints: readonly Constraint[];
}

interface Constraint {
  readonly name: string;
  readonly methods: readonly { readonly id: string; readonly type: string }[];
}

/** The second factors that the server asks for instead of a token. */
function requirementOf({ whole }: ApiAuth): Requirement | undefined {
  const { mfa_requirement: requirement } = whole;
  const constraints = isObject(requirement) ? requirement['mfa_constraints'] : undefined;
  if (!isObject(requirement) || !isObject(constraints)) return undefined;
  return {
    id: textOf(requirement['mfa_request_id']),
    constraints: Object.entries(constraints).map(([name, constraint]) => {
      const any = isObject(constraint) && Array.isArray(constraint['any']) ? constraint['any'] : [];
      const methods = any.map((one: unknown) => {
        const { id, type } = isObject(one) ? one : {};
        return { id: textOf(id), type: textOf(type) || 'unknown' };
      });
      return { name, methods };
    }),
  };
}

/**
 * The method that a code of `totp` is for; undefined if there is not exactly one. Servers accept a code once, so it does
 * not meet two constraints, even if they have the same method.
 */
function methodOf({ constraints }: Requirement): string | undefined {
  const [first, ...others] = constraints.flatMap(({ methods }) =>
    methods.filter(({ type }) => type === 'totp'),
  );
  return constraints.length === 1 && others.length === 0 ? first?.id : undefined;
}

/** The error of a login without `totp`, or with constraints that one code does not meet. */
function secondFactorNeeded(path: string, requirement: Requirement, hasCode: boolean): VaultError {
  const advice = hasCode
    ? 'A code of `totp` serves one login enforcement, which must have exactly one method of type totp; so no code was sent.'
    : 'If the method is totp, give `totp` to the auth method of the connection: a source of the current code.';
  return new VaultError({
    code: 'VAULT_LOGIN_MFA_REQUIRED',
    message: `The server asks for a second factor at ${path}: ${described(requirement)}.`,
    hint: `${advice} Otherwise exclude this application from that login enforcement, or use an auth method that is not subject to it.`,
    path,
  });
}

/** The error of a code that was sent before: servers accept each code once, and count it as wrong afterwards. */
function codeServed(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_LOGIN_PROVIDER_UNAVAILABLE',
    message: `The login at ${path} has no new TOTP code: that of \`totp\` has served already, so nothing was sent.`,
    hint: 'A code serves once. The source of `totp` has to yield the code of the current period; it is read again at the next login.',
    path,
  });
}

/**
 * The error of a code that the server refuses: a 403 here says nothing of a token or a policy.
 *
 * @param again another code was refused before, so that waiting for the next one does not help
 */
function codeRefused(path: string, requirement: Requirement, again: boolean): VaultError {
  return new VaultError({
    code: again ? 'VAULT_LOGIN_INPUT_INVALID' : 'VAULT_LOGIN_PROVIDER_UNAVAILABLE',
    message: `The server refuses the code of \`totp\` for the login at ${path}: ${described(requirement)}.`,
    hint:
      'Check the clock and the key of the source of `totp`. The code of a period serves once, for all processes that log in ' +
      'as this entity, also before a restart. After several wrong codes the server refuses all codes for some time.',
    status: 403,
    path: VALIDATE,
  });
}

/** Explains other refusals of {@link VALIDATE}. */
const explainValidation: Explain = ({ said }) =>
  said(/invalid request ID/i)
    ? {
        code: 'VAULT_SERVER_ERROR',
        message: 'The server no longer knows the login that the code of `totp` was for.',
        hint: 'Another node may have become the leader; the next login starts from the beginning.',
      }
    : undefined;

function described({ constraints }: Requirement): string {
  return listed(
    constraints.map(({ name, methods }) => `${name} (${methods.map(({ type }) => type).join(' or ')})`),
  );
}
