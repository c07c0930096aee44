import { isObject } from '../client/answer-members.js';
import { isKvVersion, KV_DEFAULTS, type KvConnectionOptions } from './kv/kv-options.js';
import type { Engine } from './own-engine.js';

/** The options of a connection that belong to engines. */
export interface EngineOptions extends KvConnectionOptions {
  /** Engines of your own, asked in this order before the built-in ones. Each needs `owns`. @default [] */
  engines?: readonly Engine<never>[];
}

export type ResolvedEngineOptions = Readonly<Required<EngineOptions>>;

export const ENGINE_DEFAULTS: ResolvedEngineOptions = { ...KV_DEFAULTS, engines: [] };

/** Adds the defaults, and the problems of the given options to `problems`. */
export function resolveEngineOptions(
  given: Partial<EngineOptions>,
  problems: string[],
): ResolvedEngineOptions {
  const resolved = { kvVersion: given.kvVersion ?? KV_DEFAULTS.kvVersion, engines: given.engines ?? [] };
  if (!isKvVersion(resolved.kvVersion)) problems.push('`kvVersion` must be 1 or 2');
  if (!Array.isArray(resolved.engines)) problems.push('`engines` must be an array');
  else
    for (const [index, engine] of resolved.engines.entries())
      for (const problem of engineProblems(engine, true)) problems.push(`\`engines[${index}]\` ${problem}`);
  return resolved;
}

/**
 * The problems of a value in the place of an engine.
 *
 * @param finds whether it has to find its own paths
 */
export function engineProblems(engine: unknown, finds: boolean): string[] {
  if (!isObject(engine)) return ['is not an engine'];
  const { name, life, owns } = engine;
  const problems: string[] = [];
  if (typeof name !== 'string' || name === '') problems.push('has no `name`, which is a string');
  if (typeof life !== 'function') problems.push('has no `life`, which is a function');
  if (finds && typeof owns !== 'function')
    problems.push('has no `owns`, which says whether a path is its own');
  return problems;
}
