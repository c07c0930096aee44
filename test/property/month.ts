import { appRole } from '../../lib/index.js';
import { resolveOptions } from '../../lib/config/resolved-options.js';
import { VaultConnection } from '../../lib/connection/vault-connection.js';
import { EventBus } from '../../lib/events/events.js';
import { SimulatedVault } from '../../lib/testing/index.js';
import { Consumers, SECOND, type Snapshot } from './consumers.js';
import { dice } from './dice.js';
import { makeTrouble } from './make-trouble.js';
import { planOf, rolesOf, type Character, type Happening, type Role } from './month-plan.js';
import { MonthWatch } from './month-watch.js';
import type { Step } from './schedule.js';
import { WatchedClock } from './watched-clock.js';
import { Witness } from './witness.js';

const SECRETS = 50;
const SHUTDOWN = 5 * SECOND;

/** The end of a lease by an operator: in world time and client time; and whether its token ended with it. */
export interface End {
  at: number;
  monotonic: number;
  token: boolean;
}

/** A month of one machine: its server, its connection, the consumers, and all events. */
export class Month {
  readonly character: Character;
  readonly clock = new WatchedClock({ wall: Date.UTC(2026, 0, 1) });
  readonly bus = new EventBus();
  readonly vault: SimulatedVault;
  readonly witness: Witness;
  readonly connection: VaultConnection;
  readonly consumers: Consumers;
  readonly roles = new Map<string, Role>();
  readonly watch: MonthWatch;
  /** Leases that an operator ended. */
  readonly ended = new Map<string, End>();
  /** The last moment of a fault, in world time. */
  lastTrouble = -Infinity;
  /** The number of events, and the milliseconds in which a fault affected requests. */
  readonly trouble = { times: 0, duration: 0 };
  readonly #plan: Happening[];
  /** The current faults: how and when each ends. */
  readonly #troubles = new Map<() => void, number>();

  constructor(character: Character) {
    this.character = character;
    const { seed, dialect, tokens } = character;
    this.#plan = planOf(character);
    this.vault = new SimulatedVault({ clock: this.clock, dialect });
    rolesOf(SECRETS, dice(seed)).forEach((role, number) => {
      this.vault.databaseRole(`r${number}`, { defaultTtl: role.ttl, maxTtl: role.maxTtl });
      this.roles.set(`database/creds/r${number}`, role);
    });
    const settings = { tokenTtl: tokens.ttl, tokenMaxTtl: tokens.maxTtl };
    const { roleId, secretId } = this.vault.appRole('app', settings);
    this.witness = new Witness(this.vault.transport(), this.clock);
    const options = resolveOptions({
      address: 'http://vault.test',
      auth: appRole({ roleId, secretId: secretId() }),
      shutdown: { timeout: SHUTDOWN },
    });
    this.connection = new VaultConnection(options, this.bus, this.clock, this.witness);
    this.watch = new MonthWatch(this);
    this.consumers = new Consumers(this.connection.leases, (snapshot, how) =>
      this.watch.handedOut(snapshot, how),
    );
  }

  get paths(): string[] {
    return [...this.roles.keys()];
  }

  /** Subscribes to all paths; each has credentials. */
  async begin(): Promise<void> {
    const { clock, connection, consumers } = this;
    await clock.until(connection.login());
    for (const path of this.paths) consumers.subscribe(path, false);
    await clock.advance(0);
    let last = clock.elapsed;
    clock.onRest = () => {
      if (this.#troubles.size > 0) {
        this.lastTrouble = Math.max(this.lastTrouble, clock.elapsed);
        this.trouble.duration += clock.elapsed - last;
      }
      last = clock.elapsed;
      this.watch.rest();
    };
  }

  /** Runs all events until a world time. */
  async liveUntil(end: number): Promise<void> {
    for (;;) {
      const next = this.#plan[0];
      if (!next || next.at > end) break;
      this.#plan.shift();
      await this.#passUntil(next.at);
      await this.#do(next.step);
      // Delivers arrived answers before the next event.
      await this.clock.settle();
    }
    await this.#passUntil(end);
  }

  /** Drops records of ended leases, so that the test itself does not grow; keeps those in use. */
  forget(): void {
    const { witness, vault, consumers, ended } = this;
    witness.exchanges.length = 0;
    vault.clearHistory();
    const known = new Set(vault.liveLeases.map(({ id }) => id));
    for (const { values } of consumers.subscriptions) {
      values.splice(0, values.length - 1);
      const { username } = (values[0] as Snapshot).data.reveal();
      known.add(witness.byUsername.get(username)?.id ?? '');
    }
    for (const { id, username } of witness.leases.values()) {
      if (known.has(id)) continue;
      witness.leases.delete(id);
      witness.byUsername.delete(username);
      ended.delete(id);
    }
  }

  async close(): Promise<void> {
    const { clock, connection, consumers, bus } = this;
    consumers.closing = true;
    await clock.until(connection.close(), 2 * SHUTDOWN);
    bus.close();
    await clock.advance(0);
    consumers.assertNoFailure();
  }

  /**
   * Advances to a world time, which a suspended machine overshoots; checks just before each deadline of a credential.
   */
  async #passUntil(at: number): Promise<void> {
    const { clock } = this;
    for (;;) {
      const healing = Math.min(...this.#troubles.values());
      const next = Math.min(at, healing, this.watch.nextEnding());
      if (next > clock.elapsed) await clock.advance(next - clock.elapsed);
      for (const [heal, until] of this.#troubles) if (clock.elapsed >= until) this.#end(heal);
      if (clock.elapsed >= at) return;
    }
  }

  async #do(step: Step): Promise<void> {
    const { clock, vault } = this;
    this.trouble.times++;
    this.lastTrouble = clock.elapsed + (step.do === 'suspend' || step.do === 'stall' ? step.for : 0);
    switch (step.do) {
      case 'trouble':
        this.#troubles.set(makeTrouble(vault, step.trouble, step.which), clock.elapsed + step.for);
        break;
      case 'revoke-leases':
        this.#operate(() => vault.revokeLease(pick(this.paths, step.path) ?? ''));
        break;
      case 'revoke-lease':
        this.#operate(() => vault.revokeLease(pick(vault.liveLeases, step.index)?.id ?? ''));
        break;
      case 'revoke-token': {
        const used = vault.history.findLast(({ token }) => token !== undefined && token > 1);
        this.#operate(() => vault.revokeToken(used?.token ?? 0), true);
        break;
      }
      case 'lose-tokens':
        this.#operate(() => vault.revokeAllTokens(), true);
        break;
      case 'step-wall':
        clock.stepWall(step.by);
        break;
      case 'stall':
        await clock.stall(step.for);
        break;
      case 'suspend':
        await clock.suspend(step.for);
        break;
      default:
        throw new Error(`No handler for "${step.do}" in a month.`);
    }
    this.lastTrouble = clock.elapsed;
  }

  #end(heal: () => void): void {
    heal();
    this.#troubles.delete(heal);
    this.lastTrouble = this.clock.elapsed;
  }

  #operate(act: () => unknown, token = false): void {
    const before = this.vault.liveLeases;
    act();
    const after = new Set(this.vault.liveLeases.map(({ id }) => id));
    const now = { at: this.clock.elapsed, monotonic: this.clock.monotonic(), token };
    for (const { id } of before) if (!after.has(id)) this.ended.set(id, now);
  }
}

function pick<T>(from: readonly T[], index: number): T | undefined {
  return from[index % from.length];
}
