import { inspect } from 'node:util';
import type { LoggerService, ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule, type TestingModuleBuilder } from '@nestjs/testing';
import { expect } from 'vitest';
import { membersOf, VaultLogLine } from '../../lib/events/log-line.js';
import type { HttpProxy } from './http-proxy.js';

/** The applications of a test file: keeps their log lines, and closes each at the end of its test. */
export class Applications {
  readonly #running = new Set<TestingModule>();
  readonly #lines: string[] = [];
  readonly #canaries = new Set<string>();

  /** Compiles and initialises an application, as `NestFactory` would. */
  async start(
    metadata: ModuleMetadata,
    customise: (builder: TestingModuleBuilder) => TestingModuleBuilder = (builder) => builder,
  ): Promise<TestingModule> {
    const app = await this.compile(metadata, customise);
    await app.init();
    return app;
  }

  /** The same without `init`. */
  async compile(
    metadata: ModuleMetadata,
    customise: (builder: TestingModuleBuilder) => TestingModuleBuilder = (builder) => builder,
  ): Promise<TestingModule> {
    const app = await customise(Test.createTestingModule(metadata)).setLogger(this.#logger()).compile();
    this.#running.add(app);
    return app;
  }

  /** The error that a start fails with; its printed form is kept like a log line. */
  async startError(metadata: ModuleMetadata): Promise<Error> {
    const error = await this.start(metadata).then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    if (!error) throw new Error('The application started.');
    this.note(inspect(error, { depth: 5 }));
    return error;
  }

  /** Keeps a text that must hold no secret. */
  note(text: string): void {
    this.#lines.push(text);
  }

  get log(): string {
    return this.#lines.join('\n');
  }

  /** Names values that may be in no log line and no error. */
  guard(...canaries: string[]): void {
    for (const canary of canaries) this.#canaries.add(canary);
  }

  /** Names all tokens and secret_ids that went through a proxy. */
  guardSeen(proxy: HttpProxy): void {
    for (const { headers, body } of proxy.seen) {
      const token = headers['x-vault-token'];
      if (typeof token === 'string') this.guard(token);
      const { secret_id } = parse(body) as { secret_id?: unknown };
      if (typeof secret_id === 'string') this.guard(secret_id);
    }
  }

  /** For `afterEach`: closes running applications, and searches all output for secrets. */
  async finish(): Promise<void> {
    for (const app of this.#running) {
      this.#running.delete(app);
      await app.close();
    }
    expectNoSecrets(this.log, this.#canaries);
  }

  #logger(): LoggerService {
    const keep = (...parts: unknown[]) => {
      this.#lines.push(parts.map(printed).join(' '));
    };
    return { log: keep, error: keep, warn: keep, debug: keep, verbose: keep, fatal: keep };
  }
}

/** A part of a line, as a text; of a line of the package with all its members. */
function printed(part: unknown): string {
  if (part instanceof VaultLogLine) return `${part.message} ${JSON.stringify(membersOf(part))}`;
  return typeof part === 'string' ? part : inspect(part);
}

/** Fails where a text holds one of the values; does not print it. */
export function expectNoSecrets(text: string, canaries: Iterable<string>): void {
  for (const canary of canaries) {
    if (canary.length < 8) throw new Error('A canary must be long enough not to occur by chance.');
    const at = text.indexOf(canary);
    const line = at < 0 ? '' : text.slice(text.lastIndexOf('\n', at) + 1, at);
    expect(at < 0, `a secret follows after: ${line}`).toBe(true);
  }
}

function parse(text: string): object {
  try {
    return (JSON.parse(text) as object | null) ?? {};
  } catch {
    return {};
  }
}
