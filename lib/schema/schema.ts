import type { StandardSchemaV1 } from '@standard-schema/spec';

/**
 * The form that the data of a secret must have: a Standard Schema (zod, valibot, arktype, …), synchronous or not, or a
 * class with the decorators of class-validator and class-transformer, which have to be installed then.
 *
 * A schema gets a copy of the data, and its output is the value of the secret. A class gets an instance.
 *
 * @publicApi
 */
export type SecretSchema<T = unknown> = StandardSchemaV1<unknown, T> | (new (...args: never[]) => T);

/**
 * The type of the values that a {@link SecretSchema} returns.
 *
 * @publicApi
 */
export type SchemaOutput<S> = S extends { readonly '~standard': unknown }
  ? S extends StandardSchemaV1<unknown, infer T>
    ? T
    : never
  : S extends new (...args: never[]) => infer T
    ? T
    : never;

export function isStandardSchema(schema: unknown): schema is StandardSchemaV1 {
  const { '~standard': standard } = (schema ?? {}) as Partial<StandardSchemaV1>;
  return typeof standard?.validate === 'function';
}

/** Whether a value can be used as a schema. An arrow function is no class. */
export function isSchema(schema: unknown): schema is SecretSchema {
  return isStandardSchema(schema) || (typeof schema === 'function' && 'prototype' in schema);
}
