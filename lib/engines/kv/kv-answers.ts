import { isObject } from '../../client/answer-members.js';
import { isVersion } from '../../client/answer.js';

/** The point in time in an answer; invalid if there is none. */
export function timeOf(value: unknown): Date {
  return new Date(typeof value === 'string' ? value : NaN);
}

export function isTime(time: Date): boolean {
  return !Number.isNaN(+time);
}

/** The data of one version, as reads and writes answer with it; `undefined` if a member is missing or invalid. */
export function readVersion(
  metadata: unknown,
): { version: number; createdAt: Date; metadata?: Readonly<Record<string, string>> } | undefined {
  if (!isObject(metadata)) return undefined;
  const { version, created_time: created, custom_metadata: custom = null } = metadata;
  const createdAt = timeOf(created);
  if (!isVersion(version) || !isTime(createdAt) || !(custom === null || isCustom(custom))) return undefined;
  return { version, createdAt, ...(custom && { metadata: custom }) };
}

/** Whether a value is custom metadata: an object of texts. */
export function isCustom(custom: unknown): custom is Readonly<Record<string, string>> {
  return isObject(custom) && Object.values(custom).every((value) => typeof value === 'string');
}
