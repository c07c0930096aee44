import { Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { filter, type Observable } from 'rxjs';
import { VaultConnections } from './connection/vault-connections.js';
import type { RotationCaller } from './decorators/on-rotation.decorator.js';
import { NestLogger } from './discovery/nest-logger.js';
import { RotationMethod, type RotationProblem } from './discovery/rotation-method.js';
import { scopedClasses } from './discovery/scopes.js';
import { hasRotationMethod } from './discovery/wanted-secrets.js';
import { VaultLogLine } from './events/log-line.js';
import { write } from './events/logger.js';
import { definitionOf } from './vault.tokens.js';

/** The methods with `@OnRotation` of one application. */
@Injectable()
export class VaultRotations implements RotationCaller, OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #modules: ModulesContainer;
  readonly #connections: VaultConnections;
  readonly #logger = new NestLogger();
  readonly #methods = new Set<RotationMethod>();
  readonly #reported = new Set<unknown>();
  #started = false;
  #ended = false;

  constructor(modules: ModulesContainer, connections: VaultConnections) {
    this.#modules = modules;
    this.#connections = connections;
  }

  follow(host: object, name: string | symbol, token: string, values$: Observable<unknown>): void {
    // A test may have replaced it by something else.
    if (this.#ended || typeof values$.subscribe !== 'function') return;
    if (this.#started && this.#isScoped(host.constructor)) return;
    const { path } = definitionOf(token) ?? {};
    const subject = `${host.constructor.name}.${String(name)} (@OnRotation of ${path})`;
    const issued$ = this.#connections.bus.events$.pipe(filter(({ type }) => type === 'issued'));
    const report = ({ code, text, errorCode }: RotationProblem) => {
      const members = { ...(path !== undefined && { path }), ...(errorCode && { errorCode }) };
      write(this.#logger, new VaultLogLine(code, `${subject} ${text}`, members));
    };
    const method = new RotationMethod(host, name, values$, report, issued$);
    for (const one of this.#methods) if (!one.host) this.#remove(one);
    this.#methods.add(method);
    if (this.#started) method.begin();
  }

  onApplicationBootstrap(): void {
    this.#started = true;
    const scoped = scopedClasses(this.#modules);
    for (const one of scoped) if (hasRotationMethod(one)) this.#reportScoped(one);
    for (const method of this.#methods) {
      if (!method.host || scoped.has(method.host.constructor)) this.#remove(method);
      else method.begin();
    }
  }

  /** From now on no credentials are rotated either. */
  beforeApplicationShutdown(): void {
    this.#ended = true;
    for (const method of this.#methods) this.#remove(method);
  }

  #remove(method: RotationMethod): void {
    method.end();
    this.#methods.delete(method);
  }

  #isScoped(host: unknown): boolean {
    // The list of all classes is long, and a request-scoped class comes with each request.
    const scoped = this.#reported.has(host) || scopedClasses(this.#modules).has(host);
    if (scoped) this.#reportScoped(host);
    return scoped;
  }

  #reportScoped(host: unknown): void {
    if (this.#reported.has(host)) return;
    this.#reported.add(host);
    const text =
      `The methods of ${(host as { name: string }).name} with @OnRotation are not called, because the class is request-scoped or ` +
      'transient, or depends on a request-scoped one. Move them to a provider of the default scope.';
    write(this.#logger, new VaultLogLine('rotation-method-scoped', text));
  }
}
