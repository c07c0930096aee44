import { isObject, isWrapInfo } from './answer-members.js';
import { parseExactly } from './exact-json.js';
import { endOfText, opensText } from './json-text.js';
import type { ApiAuth, ApiWrapInfo } from './api.types.js';

/** HashiCorp Vault refuses requests nested deeper than 300, so no secret is nested deeper. */
const DEEPEST = 512;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
/** Limits of the server's own words that classify an error. */
const WORDS = { most: 16, longest: 8_192 };

/**
 * Whether JSON is nested deeper than any answer, so that code which traverses it (freeze, compare, stringify) would
 * overflow the stack. Reads each character once, and skips texts that are too short for that depth.
 */
export function isTooDeep(json: string): boolean {
  if (json.length <= 2 * DEEPEST) return false;
  let depth = 0;
  for (let index = 0; index < json.length; index++) {
    const code = json.charCodeAt(index);
    if (opensText(code)) index = endOfText(json, index);
    else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      if (++depth > DEEPEST) return true;
    } else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth--;
  }
  return false;
}

/**
 * The members of an answer, each of any type, or none for a list; `undefined` for other JSON, which is not of a Vault.
 */
export function parseAnswer(body: string): Readonly<Record<string, unknown>> | undefined {
  if (body === '') return {};
  try {
    const value = parseExactly(body);
    if (Array.isArray(value)) return {};
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The `auth` of an answer, with typed members; `null` if it has no TTL. */
export function readAuth(auth: unknown): ApiAuth | null {
  if (!isObject(auth)) return null;
  const { client_token, accessor, lease_duration, renewable, token_type, num_uses } = auth;
  if (!isNumber(lease_duration)) return null;
  return {
    client_token: textOf(client_token),
    accessor: textOf(accessor),
    lease_duration,
    renewable: renewable === true,
    ...(typeof token_type === 'string' && { token_type }),
    ...(isNumber(num_uses) && { num_uses }),
    whole: auth,
  };
}

/** The `wrap_info` of an answer, with typed members; `undefined` if it has no token. */
export function readWrapInfo(info: unknown): ApiWrapInfo | undefined {
  if (!isWrapInfo(info)) return undefined;
  const { token, accessor, ttl, creation_time, creation_path, wrapped_accessor } = info;
  return {
    token,
    accessor: textOf(accessor),
    ttl,
    creation_time: textOf(creation_time),
    creation_path: textOf(creation_path),
    ...(typeof wrapped_accessor === 'string' && { wrapped_accessor }),
  };
}

/** The strings of a list in an answer, such as its `errors`, within the limits for the classification of an error. */
export function readWords(list: unknown): string[] {
  if (!Array.isArray(list)) return [];
  const texts = list.slice(0, WORDS.most).filter((text): text is string => typeof text === 'string');
  return texts.map((text) => text.slice(0, WORDS.longest));
}

/** Whether a value is a KV version: a whole number from 1. */
export function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

/** Checks for Infinity, which JSON lacks but large numbers are parsed to. */
export function isNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
