import type { FactoryProvider, INestApplicationContext, Type } from '@nestjs/common';

/** Repeats the work of a sample, and prints each new user that does it. */
export class Load {
  /** @param user returns the current user */
  constructor(user: () => Promise<string>, work: (() => Promise<unknown>)[]);
  readonly good: number;
  readonly failed: number;
  /** The users that did the work, in order. */
  readonly users: readonly string[];
  start(): void;
  onModuleDestroy(): Promise<void>;
}

/** A provider that repeats the work of a service. It is idle until `keepWorking`. */
export function loadOn<T extends { user(): Promise<string> }>(
  type: Type<T>,
  work: (service: T) => (() => Promise<unknown>)[],
): FactoryProvider<Load>;

/** Starts the load, ends it after RUN_FOR_SECONDS or at a signal, and exits with 0 only if nothing failed. */
export function keepWorking(app: INestApplicationContext): void;
