type Json = Record<string, unknown>;

/**
 * Applies a JSON merge patch as the servers do. Other than RFC 7396, nulls are also removed from the objects in arrays of
 * the patch.
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (Array.isArray(patch))
    return patch.map((item: unknown) => (item === null ? null : mergePatch(undefined, item)));
  if (!isObject(patch)) return patch;
  const result = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, mergePatch(result.get(key), value));
  }
  // An assignment would lose a key `__proto__`.
  return Object.fromEntries(result);
}

/**
 * Copies the keys, each with the value `null`.
 *
 * @param depth levels of keys; 0 for all
 */
export function withoutValues(data: Json, depth: number): Json {
  const deeper = depth === 0 || depth > 1;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      deeper && isObject(value) && Object.keys(value).length > 0
        ? withoutValues(value, Math.max(0, depth - 1))
        : null,
    ]),
  );
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
