import type { FactoryProvider, INestApplicationContext, Type } from '@nestjs/common';

/** Has the work of a sample done again and again, and tells when another user does it. */
export class Load {
  /** @param user asks who does the work at the moment */
  constructor(user: () => Promise<string>, work: (() => Promise<unknown>)[]);
  readonly good: number;
  readonly failed: number;
  /** Who did the work, in order. */
  readonly users: readonly string[];
  start(): void;
  onModuleDestroy(): Promise<void>;
}

/** A provider that has the work of a service done again and again. It is idle until `keepWorking`. */
export function loadOn<T extends { user(): Promise<string> }>(
  type: Type<T>,
  work: (service: T) => (() => Promise<unknown>)[],
): FactoryProvider<Load>;

/** Starts the load, ends it after RUN_FOR_SECONDS or at a signal, and exits with 0 only if nothing failed. */
export function keepWorking(app: INestApplicationContext): void;
