import { Inject } from '@nestjs/common';
import 'reflect-metadata';

const KEY = 'nestjs-vault:injections';

/** What every decorator of this package returns: for constructor parameters and properties. */
export type InjectDecorator = ReturnType<typeof Inject>;

/** `@Inject(token)`, and a note on the class, so that start-up can read all of them in parallel. */
export function injectRecorded(token: string): InjectDecorator {
  const inject = Inject(token);
  return (target: object, property: string | symbol | undefined, index?: number) => {
    record(typeof target === 'function' ? target : target.constructor, [token]);
    inject(target, property as string, index as number);
  };
}

/** The same note alone, on a class or on the factory of a provider. */
export function record(host: object, tokens: readonly string[]): void {
  const own = (Reflect.getOwnMetadata(KEY, host) as string[] | undefined) ?? [];
  Reflect.defineMetadata(KEY, [...own, ...tokens], host);
}

/** The tokens that a class and its base classes ask for. */
export function injectedTokens(host: object): string[] {
  const tokens: string[] = [];
  for (
    let current = host;
    typeof current === 'function';
    current = Object.getPrototypeOf(current) as object
  ) {
    tokens.push(...((Reflect.getOwnMetadata(KEY, current) as string[] | undefined) ?? []));
  }
  return tokens;
}
