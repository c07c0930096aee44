/** Longest possible duration in seconds: servers count durations in 63 bits of nanoseconds. */
const LONGEST = 9_223_372_036;

/** Whether a value of an answer has members. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Limit of a lease id in characters: a path followed by an id. Each renewal sends it back. */
const LONGEST_ID = 8_192;

/** Whether a value is a duration as servers write it: whole seconds, including 0. */
export function isDuration(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LONGEST;
}

/** Whether a string can be a token: it must fit into a header. */
export function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,8192}$/.test(value);
}

/** Whether a value is the `wrap_info` of a wrapped answer. */
export function isWrapInfo(info: unknown): info is Record<string, unknown> & { token: string; ttl: number } {
  return isObject(info) && isToken(info['token']) && isDuration(info['ttl']);
}

/**
 * Whether the members of an answer that describe a lease or a token have the types that servers use for all requests.
 */
export function hasLifeMembers(envelope: Readonly<Record<string, unknown>>): boolean {
  const { lease_id: leaseId = '', lease_duration: duration = 0, renewable = false } = envelope;
  const { auth = null, wrap_info: wrapping = null } = envelope;
  const lasts = leaseId === '' || envelope['lease_duration'] !== undefined;
  const isId = typeof leaseId === 'string' && leaseId.length <= LONGEST_ID;
  const lease = isId && isDuration(duration) && typeof renewable === 'boolean';
  const wrapped = wrapping === null || isWrapInfo(wrapping);
  return lease && lasts && wrapped && (auth === null || isAuth(auth));
}

function isAuth(auth: unknown): boolean {
  const {
    client_token: token,
    lease_duration: duration,
    num_uses: uses = 0,
  } = auth as Record<string, unknown>;
  return typeof token === 'string' && isDuration(duration) && isDuration(uses);
}
