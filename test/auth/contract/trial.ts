import { inspect } from 'node:util';
import { from } from 'rxjs';
import { expect } from 'vitest';
import { logEvents } from '../../../lib/events/log-events.js';
import type { VaultLogLine } from '../../../lib/events/log-line.js';
import { VaultError } from '../../../lib/errors/vault-error.js';
import type { AuthMethod, SecretSource, VaultOptions } from '../../../lib/index.js';
import { simulatedWorlds } from '../../conformance/simulated-world.js';
import type { Life, World } from '../../conformance/world.js';
import { expectNoLeak } from '../../support/leaks.js';
import type { MethodUnderTest, Operator, Prepared } from './method.js';

/** TTLs in seconds of tokens that a login makes. */
export interface TokenSettings {
  ttl?: number;
  maxTtl?: number;
  period?: number;
  type?: 'service' | 'batch';
}

/** TTLs that are too long to matter. */
export const LONG = { ttl: 3_600, maxTtl: 36_000 };
export const SECOND = 1_000;
const STEP = 250;

/** Simulated servers for a method; today for one whose inputs are made by another program. */
export const worldsFor = (method: MethodUnderTest, kind: 'openbao' | 'vault') =>
  simulatedWorlds(kind, method.today ? Date.now() + 60_000 : undefined);

/** Tries one rule; the result is the reason why it does not apply to this server, if so. */
export type Rule = (trial: Trial) => Promise<string | void>;

/** One test of one method on one server: it sets the method up, starts connections, and searches for secrets at the end. */
export class Trial {
  readonly world: World;
  readonly errors: VaultError[] = [];
  /** Inputs that were read, in their order. */
  readonly read: string[] = [];
  readonly #method: MethodUnderTest;
  readonly #kind: 'openbao' | 'vault';
  readonly #canaries = new Set<string>();
  readonly #lives: Life[] = [];
  #prepared: Prepared | undefined;
  /** Logins before the last {@link clear}. */
  #cleared = 0;

  constructor(world: World, method: MethodUnderTest, kind: 'openbao' | 'vault') {
    this.world = world;
    this.#method = method;
    this.#kind = kind;
  }

  get simulated(): boolean {
    return this.world.vault !== undefined;
  }

  get prepared(): Prepared {
    if (!this.#prepared) throw new Error('setUp() comes first');
    return this.#prepared;
  }

  get mount(): string {
    const { type, mounted = true } = this.#method;
    return mounted ? `${type}-${this.world.name}` : type;
  }

  /** Enables the method, and makes a role of it whose tokens have these TTLs. */
  async setUp(token: TokenSettings = LONG): Promise<Prepared> {
    const { world, mount } = this;
    const api: Operator['api'] = (...request) => world.operator.api(...request);
    const policy = `path "${world.path}*" { capabilities = ["read"] }`;
    await api('POST', `sys/policies/acl/auth-${world.name}`, { policy });
    const { type, mounted = true } = this.#method;
    if (mounted) await api('POST', `sys/auth/${mount}`, { type });
    const seconds = (value = 0) => `${value}s`;
    this.#prepared = await this.#method.prepare({
      kind: this.#kind,
      mount,
      api,
      now: () => world.clock?.wall() ?? Date.now(),
      lifetime: token.period ? Infinity : ((token.type === 'batch' ? token.ttl : token.maxTtl) ?? Infinity),
      fields: {
        token_policies: [`auth-${world.name}`],
        token_ttl: seconds(token.ttl),
        token_max_ttl: seconds(token.maxTtl),
        token_period: seconds(token.period),
        token_type: token.type ?? 'service',
      },
      ...(world.vault && { simulated: world.vault }),
    });
    world.clear();
    return this.#prepared;
  }

  /** A source that gives a right input each time. */
  readonly source = async (): Promise<string> => this.note(await this.prepared.input());

  /** Records an input, which must not be printed. A JWT is recognised by each of its parts. */
  note(input: string): string {
    this.read.push(input);
    for (const part of [input, ...input.split('.')]) if (part.length > 7) this.#canaries.add(part);
    return input;
  }

  /** Starts a connection; with `watch`, it has a lease when this resolves. */
  async begin({
    source = this.source,
    auth = this.prepared.method(source),
    watch = true,
    options = {},
  }: {
    source?: SecretSource;
    auth?: AuthMethod;
    watch?: boolean;
    options?: Partial<VaultOptions>;
  } = {}): Promise<Life> {
    const life = await this.world.start({
      role: LONG,
      watch,
      options: { auth, ...this.prepared.options, ...options },
      ...(this.prepared.through && { through: this.prepared.through }),
    });
    this.#lives.push(life);
    return life;
  }

  /** Starts a connection that logs in at its first request. */
  deferred(settings: Parameters<Trial['begin']>[0] = {}): Promise<Life> {
    const options = { startup: { login: 'deferred' as const }, ...settings.options };
    return this.begin({ ...settings, watch: false, options });
  }

  /** Sends a request that needs a token. */
  ask({ connection }: Life): Promise<unknown> {
    const paths = [this.world.path];
    return this.world.settled(connection.client.write('sys/capabilities-self', { paths }));
  }

  /** Sends such a request, which must fail with this error. */
  async fails(life: Life, { code, hint }: { code: string; hint: RegExp }): Promise<VaultError> {
    const error: unknown = await this.ask(life).then(
      () => new Error('the request succeeded'),
      (reason: unknown) => reason,
    );
    if (!(error instanceof VaultError)) throw error;
    this.errors.push(error);
    expect(error).toMatchObject({ code });
    expect(error.hint).toMatch(hint);
    return error;
  }

  /** Lets time pass until a condition holds; a virtual clock in steps that cost less than those of a world. */
  async until(holds: () => boolean, limit: number): Promise<void> {
    const { clock } = this.world;
    if (!clock) return this.world.until(holds, limit);
    for (const end = clock.monotonic() + limit; !holds(); await this.world.advance(STEP))
      if (clock.monotonic() > end) throw new Error(`did not come true within ${limit} ms`);
  }

  /** The number of login requests since the set-up, or since {@link clear}. */
  get logins(): number {
    if (!this.prepared.looksUp) return this.world.requests(this.prepared.login).length;
    return this.#loginEvents() - this.#cleared;
  }

  /** Forgets the requests, and logins. */
  clear(): void {
    this.world.clear();
    this.#cleared = this.#loginEvents();
  }

  #loginEvents(): number {
    return this.#lives.flatMap((life) => [...life.of('login'), ...life.of('login-failed')]).length;
  }

  /** Ends all tokens of the method at the server. */
  async revokeTokens(): Promise<void> {
    const { vault, operator } = this.world;
    if (this.prepared.revokeTokens) await this.prepared.revokeTokens();
    else if (vault) vault.revokeAllTokens();
    else await operator.api('PUT', `sys/leases/revoke-prefix/auth/${this.mount}`, {});
  }

  /** Fails if a secret stands in an error, an event, a status, a log line, or a printed object. */
  search(...printed: unknown[]): void {
    const lines: string[] = [];
    const add = (line: VaultLogLine) => void lines.push(JSON.stringify(line));
    for (const { events, connection } of this.#lives) {
      logEvents(from(events), { error: add, warn: add, info: add, debug: add });
      expectNoLeak([events, connection.status], this.#canaries);
    }
    expectNoLeak([lines, this.errors, ...printed.map((one) => inspect(one, { depth: 9 }))], this.#canaries);
  }

  async end(): Promise<void> {
    try {
      this.search();
    } finally {
      await this.world.close();
      await this.#prepared?.end?.();
    }
  }
}
