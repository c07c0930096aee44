import { inNetworks } from '../server/addresses.js';
import { list, text } from '../server/fields.js';
import type { Call, Renewal, TokenInit } from '../server/model.js';
import { collected, Refusal } from '../server/refusal.js';
import { secondsField } from '../server/ttl.js';

/** The body of a role, a user or a configuration; all auth methods share its `token_*` fields. */
export type Fields = Record<string, unknown>;

const DURATIONS = ['token_ttl', 'token_max_ttl', 'token_period', 'token_explicit_max_ttl'];

/** Refuses a duration of a token that is invalid. */
export function checkTokenFields(body: Fields): void {
  for (const field of DURATIONS) secondsField(body, field);
}

/** The `token_*` fields as a read of the role shows them. */
export function describeTokenFields(fields: Fields, vault: boolean): Fields {
  return {
    token_bound_cidrs: list(fields['token_bound_cidrs']),
    token_explicit_max_ttl: secondsField(fields, 'token_explicit_max_ttl'),
    token_max_ttl: secondsField(fields, 'token_max_ttl'),
    token_no_default_policy: fields['token_no_default_policy'] === true,
    token_num_uses: Number(fields['token_num_uses'] ?? 0),
    token_period: secondsField(fields, 'token_period'),
    token_policies: list(fields['token_policies'] ?? fields['policies']),
    ...(!vault && { token_strictly_bind_ip: fields['token_strictly_bind_ip'] === true }),
    token_ttl: secondsField(fields, 'token_ttl'),
    token_type: text(fields['token_type']) || 'default',
  };
}

/** The policies of tokens that a role makes. */
export function policiesOf(fields: Fields): string[] {
  return [...new Set([...list(fields['token_policies'] ?? fields['policies']), 'default'])]
    .filter((name) => name !== 'default' || fields['token_no_default_policy'] !== true)
    .sort();
}

/** Refuses a login from outside of `token_bound_cidrs`; AppRole refuses only the token. */
export function checkBoundCidrs({ source }: Call, fields: Fields): void {
  const networks = list(fields['token_bound_cidrs']);
  if (networks.length > 0 && !inNetworks(source, networks)) throw new Refusal(403, 'permission denied');
}

/** The part of a new token that a method decides. */
type Login = Pick<TokenInit, 'displayName' | 'meta' | 'boundCidrs' | 'renewal'>;

/** The token of a login, by the `token_*` fields of its role. */
export function loginToken({ fullPath, namespace }: Call, fields: Fields, login: Login): TokenInit {
  return {
    policies: policiesOf(fields),
    path: fullPath,
    namespace,
    login: true,
    type: text(fields['token_type']) === 'batch' ? 'batch' : 'service',
    uses: Number(fields['token_num_uses'] ?? 0),
    ...tokenBounds(fields),
    explicitMaxTtl: secondsField(fields, 'token_explicit_max_ttl'),
    boundCidrs: list(fields['token_bound_cidrs']),
    ...login,
  };
}

/** What a renewal of a token takes from its role, as it is by then. */
export function tokenBounds(fields: Fields): Renewal {
  return {
    ttl: secondsField(fields, 'token_ttl'),
    maxTtl: secondsField(fields, 'token_max_ttl'),
    period: secondsField(fields, 'token_period'),
  };
}

/** The refusal of a renewal by the method that made the token. */
export function renewalRefused(reason: string, status = 500): Refusal {
  return new Refusal(status, collected(`failed to renew entry: ${reason}`));
}

/** Refuses a renewal after the policies of its role or user have changed. */
export function checkPolicies(token: Pick<TokenInit, 'policies'>, fields: Fields): void {
  if (policiesOf(fields).join() !== [...token.policies].sort().join())
    throw renewalRefused('policies have changed, not renewing');
}
