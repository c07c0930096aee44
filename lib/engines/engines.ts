import { reportOnce } from '../events/once.js';
import type { Answer, EngineRules, IssueParameters } from './engine.js';
import { engineOf } from './engine-of.js';
import { VaultError } from '../errors/vault-error.js';
import { engineProblems } from './engine-options.js';
import { ownEngine, type Engine } from './own-engine.js';

/** The engines of one connection: the given ones, then the built-in ones. */
export class Engines {
  readonly #given: readonly EngineRules[];
  readonly #rules = new WeakMap<Engine, EngineRules>();
  readonly #warn: (message: string) => void;

  constructor(given: readonly Engine<never>[], warn: (message: string) => void) {
    this.#warn = reportOnce(warn);
    this.#given = given.map((engine) => this.rulesOf(engine as Engine));
  }

  /** The checked rules of an engine of the application. */
  rulesOf(engine: Engine): EngineRules {
    let rules = this.#rules.get(engine);
    if (!rules) this.#rules.set(engine, (rules = ownEngine(engine, this.#warn)));
    return rules;
  }

  /**
   * The rules of an engine that a consumer gives for one path.
   *
   * @throws VaultError `VAULT_CONFIG_INVALID`
   */
  given(engine: Engine<never>): EngineRules {
    const [problem] = engineProblems(engine, false);
    if (problem === undefined) return this.rulesOf(engine as Engine);
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: `The option \`engine\` ${problem}.`,
      hint: 'Give an object with `name` and `life`, as the interface Engine describes it.',
    });
  }

  /** The engine of an answer. */
  of(answer: Answer): EngineRules {
    return this.#given.find((engine) => engine.owns(answer)) ?? engineOf(answer);
  }

  /** The capabilities that a policy must grant to issue a secret. Other than for writes, it is never `create`. */
  capabilities(
    path: string,
    parameters: IssueParameters | undefined,
    engine: EngineRules | undefined,
  ): readonly string[] {
    const request = { path, parameters } as Answer;
    const asked = engine ?? this.#given.find((one) => one.owns(request));
    return asked?.capabilities?.(path, parameters) ?? (parameters ? ['update'] : ['read']);
  }
}
