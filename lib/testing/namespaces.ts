import type { Backend } from './answers.js';
import { DEFAULT_POLICY, parsePolicy, type Rules } from './policies.js';

/** One namespace: mounts and policies of its own. */
export class Namespace {
  readonly mounts = new Map<string, Backend>();
  readonly policies = new Map<string, { source: string; rules: Rules; version: number; at: number }>();
  /** Changes whenever a policy does. */
  policyVersion = 0;

  /** @param path with a slash at its end; nothing for the root */
  constructor(
    readonly path: string,
    readonly id: string,
  ) {
    this.setPolicy('default', DEFAULT_POLICY, 0);
  }

  /**
   * @param source HCL, or JSON
   * @param at milliseconds of the server
   */
  setPolicy(name: string, source: string, at: number): void {
    const version = (this.policies.get(name)?.version ?? 0) + 1;
    this.policies.set(name, { source, rules: parsePolicy(source), version, at });
    this.policyVersion++;
  }

  deletePolicy(name: string): void {
    this.policies.delete(name);
    this.policyVersion++;
  }

  /** The mount that a path is below, and the rest of the path. */
  find(path: string): { backend: Backend; mount: string; rest: string } | undefined {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const mount = path.slice(0, end).replace(/\/$/, '');
      const backend = this.mounts.get(mount);
      if (backend) return { backend, mount, rest: path.slice(mount.length + 1) };
    }
    return undefined;
  }
}
