/**
 * Capability that a policy grants.
 *
 * @publicApi
 */
export type Capability = 'create' | 'read' | 'update' | 'patch' | 'delete' | 'list' | 'sudo' | 'deny';

/** Capabilities by path pattern. */
export type Rules = ReadonlyMap<string, readonly Capability[]>;

/** Policy `default`, which tokens have unless their role excludes it. */
export const DEFAULT_POLICY = `
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/internal/ui/resultant-acl" { capabilities = ["read"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/lookup" { capabilities = ["update"] }
path "cubbyhole/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/wrapping/wrap" { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["update"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
path "sys/tools/hash" { capabilities = ["update"] }
path "sys/tools/hash/*" { capabilities = ["update"] }
`;

/** All rights of a wrapping token. */
export const WRAPPING_RULES: Rules = new Map([
  ['cubbyhole/response', ['create', 'read']],
  ['sys/wrapping/unwrap', ['update']],
] satisfies [string, Capability[]][]);

/** Reads the part of HCL that policies use (`path "…" { capabilities = […] }`, comments), or the same as JSON. */
export function parsePolicy(source: string): Rules {
  const rules = new Map<string, readonly Capability[]>();
  if (source.trim().startsWith('{')) {
    const { path = {} } = JSON.parse(source) as { path?: Record<string, { capabilities?: Capability[] }> };
    for (const [pattern, { capabilities = [] }] of Object.entries(path))
      rules.set(clean(pattern), capabilities);
    return rules;
  }
  const lines = source.replace(/^[^\S\n]*(#|\/\/).*$/gm, '');
  // Paths end in "/*" too: without this limit, each of them would cause a search to the end of the text.
  const commented = lines.lastIndexOf('*/') + 2;
  const plain = lines.slice(0, commented).replace(/\/\*[\s\S]*?\*\//g, '') + lines.slice(commented);
  for (const [, pattern = '', block = ''] of plain.matchAll(/path\s+"([^"]+)"\s*\{([^}]*)\}/g)) {
    const [, listed = ''] = /capabilities\s*=\s*\[([^\]]*)\]/.exec(block) ?? [];
    rules.set(
      clean(pattern),
      [...listed.matchAll(/"([^"]+)"/g)].map(([, name]) => name as Capability),
    );
  }
  return rules;
}

const clean = (pattern: string) => pattern.replace(/^\//, '');

interface Pattern {
  text: string;
  segments: string[];
  prefix: boolean;
  capabilities: ReadonlySet<Capability>;
}

/** Rights that several policies grant together. */
export class Acl {
  readonly #exact = new Map<string, ReadonlySet<Capability>>();
  readonly #patterns: Pattern[];

  constructor(policies: readonly Rules[]) {
    const merged = new Map<string, Set<Capability>>();
    for (const rules of policies) {
      for (const [pattern, capabilities] of rules) {
        const all = merged.get(pattern) ?? new Set();
        for (const capability of capabilities) all.add(capability);
        merged.set(pattern, all);
      }
    }
    const patterns: Pattern[] = [];
    for (const [pattern, capabilities] of merged) {
      const prefix = pattern.endsWith('*');
      const text = prefix ? pattern.slice(0, -1) : pattern;
      const segments = text.split('/');
      if (prefix || segments.includes('+')) patterns.push({ text, segments, prefix, capabilities });
      else this.#exact.set(pattern, capabilities);
    }
    this.#patterns = patterns.sort(mostSpecificFirst);
  }

  /** Capabilities at a path; empty if the path is denied. */
  capabilities(path: string): ReadonlySet<Capability> {
    const found =
      this.#exact.get(path) ??
      // A LIST request may end in a slash while the policy does not.
      (path.endsWith('/') ? this.#exact.get(path.slice(0, -1)) : undefined) ??
      this.#patterns.find((pattern) => matches(pattern, path))?.capabilities;
    return !found || found.has('deny') ? NONE : found;
  }
}

const NONE: ReadonlySet<Capability> = new Set();

function matches(pattern: Pattern, path: string): boolean {
  if (!pattern.segments.includes('+')) return path.startsWith(pattern.text);
  const given = path.split('/');
  const { segments, prefix } = pattern;
  if (prefix ? given.length < segments.length : given.length !== segments.length) return false;
  return segments.every((segment, index) => {
    const one = given[index] as string;
    if (segment === '+') return true;
    return prefix && index === segments.length - 1 ? one.startsWith(segment) : one === segment;
  });
}

/** Precedence of the server: a later wildcard wins, then no `*`, fewer `+`, the longer text. */
function mostSpecificFirst(a: Pattern, b: Pattern): number {
  const wildcard = ({ text, segments }: Pattern) =>
    segments.includes('+') ? text.split(/(?<=\/|^)\+(?=\/|$)/)[0]!.length : text.length;
  const plus = ({ segments }: Pattern) => segments.filter((segment) => segment === '+').length;
  return (
    wildcard(b) - wildcard(a) ||
    Number(a.prefix) - Number(b.prefix) ||
    plus(a) - plus(b) ||
    b.text.length - a.text.length ||
    (a.text < b.text ? 1 : -1)
  );
}
