import type { StandardSchemaV1 } from '@standard-schema/spec';
import { optionalPackage } from '../errors/optional-package.js';
import { kindOf } from '../errors/kind-of.js';
import type { Issue } from './describe-issue.js';

/** The part of class-validator's `ValidationError` that is used. */
interface PropertyError {
  property: string;
  value?: unknown;
  constraints?: Record<string, string>;
  children?: PropertyError[];
}

/** Makes an instance of a class, as Nest's `ValidationPipe` does, and validates it. */
export async function validateClass(
  Class: new (...args: never[]) => unknown,
  value: unknown,
): Promise<StandardSchemaV1.Result<unknown>> {
  const { plainToInstance, validate } = await optionalPackage(
    'A `schema` that is a class',
    'class-validator class-transformer',
    async () => ({ ...(await import('class-transformer')), ...(await import('class-validator')) }),
  );
  // class-transformer makes several instances of an array, and none of a text.
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { issues: [{ message: `expected an object, found ${kindOf(value)}` }] };
  const instance = plainToInstance(Class as new () => object, value);
  const errors: PropertyError[] = await validate(instance);
  return errors.length > 0 ? { issues: errors.flatMap((error) => issuesOf(error, [])) } : { value: instance };
}

function issuesOf({ property, value, constraints, children }: PropertyError, parents: string[]): Issue[] {
  const path = [...parents, property];
  return [
    ...Object.values(constraints ?? {}).map((message) => ({ path, message, value })),
    ...(children ?? []).flatMap((child) => issuesOf(child, path)),
  ];
}
