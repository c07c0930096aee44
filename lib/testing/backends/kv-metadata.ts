import { collected, Refusal } from '../server/refusal.js';
import { PRINTABLE } from '../server/printable.js';
import { goType, type TypedFields } from '../server/typed-fields.js';
import { mergePatch } from './json-merge-patch.js';
import type { KvSettings } from './kv-secret.js';

const LIMITS = { keys: 64, key: 128, value: 512 };
const FAILED = 'custom_metadata validation failed';
const UINT32 = 2 ** 32;

/** The settings that a write of a mount or of metadata contains. */
export function givenSettings(
  fields: TypedFields,
  vault: boolean,
  { mount = false } = {},
): Partial<KvSettings> {
  const after = fields.duration('delete_version_after', mount);
  return {
    ...(fields.has('cas_required') && { casRequired: fields.bool('cas_required') }),
    // Go converts to an unsigned integer of 32 bits.
    ...(fields.has('max_versions') && { maxVersions: fields.int('max_versions') >>> 0 }),
    ...(after !== undefined && { deleteVersionAfter: after }),
    ...(!vault &&
      fields.has('metadata_cas_required') && { metadataCasRequired: fields.bool('metadata_cas_required') }),
  };
}

/** The custom metadata of a write, as texts; undefined if there is none. */
export function customMetadata(fields: TypedFields): Record<string, string> | undefined {
  if (!fields.has('custom_metadata')) return undefined;
  return checked(Object.entries(fields.map('custom_metadata') ?? {}));
}

/** The custom metadata after a patch; undefined if the patch has none. */
export function patchedMetadata(
  before: Record<string, string>,
  fields: TypedFields,
): Record<string, string> | undefined {
  if (!fields.has('custom_metadata')) return undefined;
  const patch = fields.map('custom_metadata');
  if (patch === null) return {};
  checked(Object.entries(patch).filter(([, value]) => value !== null));
  for (const [key, value] of Object.entries(patch)) {
    if (value !== null && typeof value !== 'string')
      throw notOfType(
        `${typeof value === 'boolean' ? 'bool' : 'number'}`,
        `custom_metadata.${key}`,
        'string',
      );
  }
  return mergePatch(before, patch) as Record<string, string>;
}

/** A patch takes the way through JSON, which has no conversion. */
export function checkPatch(fields: TypedFields): void {
  const max = fields.int('max_versions');
  if (max < 0 || max >= UINT32) throw notOfType(`number ${max}`, 'max_versions', 'uint32');
}

function notOfType(value: string, field: string, type: string): Refusal {
  return new Refusal(
    500,
    collected(`json: cannot unmarshal ${value} into Go struct field .${field} of type ${type}`),
  );
}

function checked(entries: [string, unknown][]): Record<string, string> {
  const texts = entries.map(([key, value]): [string, string] => [key, toText(value)]);
  const errors =
    texts.length > LIMITS.keys
      ? [`payload must contain at most ${LIMITS.keys} keys, provided ${texts.length}`]
      : texts.flatMap(faults);
  if (errors.length > 0) throw new Refusal(400, collected(...errors.map((error) => `${FAILED}: ${error}`)));
  return Object.fromEntries(texts);
}

function toText(value: unknown): string {
  if (value === null) return '';
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  throw new Refusal(400, `${FAILED}: '' expected type 'string', got unconvertible type '${goType(value)}'`);
}

function faults([key, value]: [string, string]): string[] {
  const [keyLength, length] = [Buffer.byteLength(key), Buffer.byteLength(value)];
  const name = quoted(key);
  return [
    (keyLength === 0 || keyLength > LIMITS.key) &&
      `length of key ${name} is ${keyLength} but must be 0 < len(key) <= ${LIMITS.key}`,
    (length === 0 || length > LIMITS.value) &&
      `length of value for key ${name} is ${length} but must be 0 < len(value) <= ${LIMITS.value}`,
    !PRINTABLE.test(key) && `key ${name} (${key}) contains unprintable characters`,
    !PRINTABLE.test(value) && `value for key ${name} contains unprintable characters`,
  ].filter((fault) => fault !== false);
}

/** A text in quotes, as Go prints it. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(/\\u00([0-9a-f]{2})/g, '\\x$1');
}
