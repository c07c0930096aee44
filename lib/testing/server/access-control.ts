import { Acl, WRAPPING_RULES, type Rules } from './acl.js';
import type { Namespace, Token } from './model.js';

/** Capabilities of tokens; the compiled policies of each combination are cached. */
export class AccessControl {
  readonly #acls = new Map<string, { version: number; acl: Acl }>();

  /** Capabilities of a token at a path of a namespace. */
  capabilities(token: Token, namespace: Namespace, path: string): ReadonlySet<string> {
    if (token.root) return new Set(['root']);
    const home = token.init.namespace;
    if (!namespace.path.startsWith(home.path)) return new Set();
    return this.#acl(token).capabilities(namespace.path.slice(home.path.length) + path);
  }

  #acl(token: Token): Acl {
    const { policies, namespace } = token.init;
    const key = `${namespace.path} ${policies.join()}`;
    const known = this.#acls.get(key);
    if (known?.version === namespace.policyVersion) return known.acl;
    const rules = policies.map((name): Rules | undefined =>
      name === 'response-wrapping' ? WRAPPING_RULES : namespace.policies.get(name)?.rules,
    );
    const acl = new Acl(rules.filter((one) => one !== undefined));
    this.#acls.set(key, { version: namespace.policyVersion, acl });
    return acl;
  }
}
