/**
 * State of a node, besides sealed and standby. `performance-standby` and `dr-secondary` exist in Vault Enterprise
 * only.
 *
 * @publicApi
 */
export type NodeState = 'active' | 'performance-standby' | 'dr-secondary' | 'uninitialized';

/** The state of the simulated node. */
export class NodeStatus {
  state: NodeState = 'active';
  /** Set while the node is a standby, with the address of the leader where it is known. */
  standby: { leader: string | undefined } | undefined;
  #sealed = false;

  /** A node that is not initialised is sealed, too. */
  get sealed(): boolean {
    return this.#sealed || this.state === 'uninitialized';
  }

  set sealed(sealed: boolean) {
    this.#sealed = sealed;
  }
}
