import type { ModulesContainer } from '@nestjs/core';
import type { VaultOptions } from '../config/options.js';
import type { Wrapper } from '../discovery/nest-container.js';
import { connectionOf } from '../vault.tokens.js';

/** One call of `VaultModule.forRoot` or `forRootAsync`. */
export interface Declaration {
  readonly name: string;
  /** The options object of `forRoot`, or the function `useFactory` of `forRootAsync`. */
  readonly given: object | undefined;
  /** Whether `given` is the options object. */
  readonly known: boolean;
  /** Token of the provider of the options, in the same module. */
  readonly optionsToken: unknown;
  /** Its factory, if it has one. */
  readonly optionsFactory: unknown;
}

/** A declaration in the modules of an application. */
export interface DeclaredConnection {
  readonly name: string;
  /** Undefined if it is of the other copy (ESM, CommonJS) of this package. */
  readonly declaration: Declaration | undefined;
  /** The options, if they are known before the start: those of `forRoot`, or of a test that overrides them. */
  readonly optionsInPlace: unknown;
  /** Whether a test overrides the options with a factory or a class, which returns them later. */
  readonly optionsToCome: boolean;
}

type OptionsProvider = Wrapper & { instance?: unknown };

/** By the factory of the connection. */
const DECLARATIONS = new WeakMap<object, Declaration>();

export function recordDeclaration(factory: object, declaration: Declaration): void {
  DECLARATIONS.set(factory, declaration);
}

export function declarationsIn(modules: ModulesContainer): DeclaredConnection[] {
  return [...modules.values()].flatMap(({ providers }) =>
    [...providers].flatMap(([token, wrapper]) => {
      const name = connectionOf(token);
      if (name === undefined) return [];
      const declaration = DECLARATIONS.get((wrapper as Wrapper).metatype as object);
      const options =
        declaration && (providers.get(declaration.optionsToken as string) as OptionsProvider | undefined);
      const optionsToCome =
        typeof options?.metatype === 'function' && options.metatype !== declaration?.optionsFactory;
      return [{ name, declaration, optionsInPlace: options?.instance ?? undefined, optionsToCome }];
    }),
  );
}

/** The options without the parameters of `forRoot` that may stand beside them. */
export function ownOptions(given: VaultOptions): VaultOptions {
  if (!EXTRAS.some((key) => key in given)) return given;
  const own = Object.entries(given).filter(([key]) => !EXTRAS.includes(key));
  return Object.fromEntries(own) as unknown as VaultOptions;
}

const EXTRAS = ['name', 'isGlobal', 'extraProviders'];
