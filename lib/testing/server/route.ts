import type { Call, Maybe, Operation, Result } from './model.js';
import { collected, Unknown } from './refusal.js';

/** A handler for operations and a path below the mount; groups of the pattern become its arguments. */
export type Route = [
  operations: readonly Operation[],
  path: RegExp,
  handler: (call: Call, ...groups: string[]) => Maybe<Result | void>,
];

/** Calls the handler of a request. */
export function route(routes: readonly Route[], call: Call): Maybe<Result | void> {
  let known = false;
  for (const [operations, pattern, handler] of routes) {
    const match = pattern.exec(call.path);
    if (!match) continue;
    known = true;
    if (operations.includes(call.operation)) return handler(call, ...match.slice(1));
  }
  if (known) throw new Unknown(405, collected('unsupported operation'));
  throw new Unknown(404, collected('unsupported path'));
}
