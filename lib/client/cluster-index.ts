/** Limit of a cluster state in characters; HashiCorp Vault's have some 200. Later requests send it back. */
const STATE = /^[\x21-\x7e]{1,1024}$/;

/** The parts of a state by which two are compared: `v1:<cluster>:<local>:<replicated>:<hmac>` in base64. */
interface Parsed {
  readonly cluster: string;
  readonly local: bigint;
  readonly replicated: bigint;
}

/**
 * The states of a cluster that later requests must not fall behind. Answers may arrive in another order than the server
 * made them, so an older state does not replace a newer one; of two states of which neither is newer both are kept.
 */
export class ClusterIndex {
  #states: readonly string[] = [];
  /** Monotonic time of the first answer of a node that lacks these states. */
  #lackedSince: number | undefined;

  /** The values of the header `X-Vault-Index`. */
  get header(): string | readonly string[] | undefined {
    return this.#states.length > 1 ? this.#states : this.#states[0];
  }

  /** Records the state of an answer. A state of another cluster, or one of another format, replaces all. */
  record(state: unknown): void {
    if (typeof state !== 'string' || !STATE.test(state) || this.#states.includes(state)) return;
    const given = parse(state);
    const known = this.#states.map(parse);
    if (!given || known.some((one) => one?.cluster !== given.cluster)) this.#set([state]);
    else if (!known.some((one) => one && isAtLeast(one, given)))
      this.#set(
        [...this.#states.filter((_, index) => !isAtLeast(given, known[index] as Parsed)), state].slice(-2),
      );
  }

  /**
   * Records that a node lacks the states, and returns the time since which one has lacked them.
   *
   * @param now monotonic
   */
  lacked(now: number): number {
    return (this.#lackedSince ??= now);
  }

  /**
   * Forgets states that a request has sent. Nodes that lack them for long may never have them: the cluster may have gone
   * back, by a snapshot or by the promotion of a secondary that lacked them. Its states would then count as older ones.
   */
  forget(sent: string | readonly string[]): void {
    this.#set(this.#states.filter((state) => ![sent].flat().includes(state)));
  }

  #set(states: readonly string[]): void {
    this.#states = states;
    this.#lackedSince = undefined;
  }
}

function isAtLeast(one: Parsed, other: Parsed): boolean {
  return one.local >= other.local && one.replicated >= other.replicated;
}

function parse(state: string): Parsed | undefined {
  const decoded = Buffer.from(state, 'base64').toString('latin1');
  const [, cluster, local, replicated] = /^v1:([^:]+):(\d{1,20}):(\d{1,20}):[0-9a-f]*$/i.exec(decoded) ?? [];
  if (cluster === undefined) return undefined;
  return { cluster, local: BigInt(local ?? 0), replicated: BigInt(replicated ?? 0) };
}
