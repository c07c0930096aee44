import type { FactoryProvider, INestApplicationContext, Type } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';

/** A service that can name the user it works as. */
export interface Worker {
  user(): Promise<string>;
}

/** Repeats the work of a sample, and prints each new user that does it. */
export class Load<Service extends Worker = Worker> {
  /** @param work the repeated work, for the service */
  constructor(service: () => Service, work: (service: Service) => (() => Promise<unknown>)[]);
  readonly good: number;
  readonly failed: number;
  /** The users that did the work, in order. */
  readonly users: readonly string[];
  start(): void;
  onModuleDestroy(): Promise<void>;
}

/** A provider that repeats the work of a service of any module. It is idle until `keepWorking`. */
export function loadOn<T extends Worker>(
  moduleRef: typeof ModuleRef,
  type: Type<T>,
  work: (service: T) => (() => Promise<unknown>)[],
): FactoryProvider<Load>;

/** Starts the load and shows it, ends it after RUN_FOR_SECONDS or at a signal, and exits with 0 only if nothing failed. */
export function keepWorking(app: INestApplicationContext): void;

/** Shows tokens, leases and pools in the terminal, and a line of the sample. A second Ctrl-C ends the process at once. */
export function show(app: INestApplicationContext, note: () => string): void;
