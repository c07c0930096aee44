import { isObject, isWrapInfo } from './answer-members.js';
import { parseExactly } from './exact-json.js';
import { endOfText, opensText } from './json-text.js';
import type { ApiAuth, ApiWrapInfo } from './api-client.js';

/** HashiCorp Vault refuses requests that are nested deeper than 300, so that no secret is. */
const DEEPEST = 512;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
/** Of the server's own words only so many decide what an error means. */
const WORDS = { most: 16, longest: 8_192 };

/**
 * Whether JSON is nested deeper than any answer, so that what walks through it (freezing, comparing, writing it again)
 * would run out of stack. One look at each character, and none at what is too short for it.
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

/** The members of an answer, each of any type, none of a list; `undefined` where it is neither, and so not of a Vault. */
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

/** The `auth` of an answer, each member of its type; `null` where it holds no TTL. */
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

/** The `wrap_info` of an answer, each member of its type; `undefined` where it holds no token. */
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

/** The texts of a list in an answer, such as its `errors`: as many and as much of each as an error is judged by. */
export function readWords(list: unknown): string[] {
  if (!Array.isArray(list)) return [];
  const texts = list.slice(0, WORDS.most).filter((text): text is string => typeof text === 'string');
  return texts.map((text) => text.slice(0, WORDS.longest));
}

/** The number of a KV version: whole, from 1. */
export function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

/** JSON has no infinity, but numbers that are read as one. */
export function isNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
