import { appRole } from '../../lib/index.js';
import { resolveOptions } from '../../lib/config/resolved-options.js';
import { VaultConnection } from '../../lib/connection/vault-connection.js';
import { EventBus } from '../../lib/events/events.js';
import { SimulatedVault, type AppRoleHandle } from '../../lib/testing/index.js';
import { Consumers, SECOND } from './consumers.js';
import { countRequests } from './counting.js';
import { withDice } from './dice.js';
import { close, recover, SHUTDOWN } from './ending.js';
import { Invariants } from './invariants.js';
import { makeTrouble } from './make-trouble.js';
import type { Schedule, Step, Ttls } from './schedule.js';
import { WatchedClock } from './watched-clock.js';
import { Witness } from './witness.js';

/** The end of a lease: in world time, in client time, and the number of disturbances before it. */
export interface End {
  at: number;
  monotonic: number;
  disturbances: number;
}

/** One run of a schedule: a server, a connection, its consumers, and all events. */
export class Life {
  readonly schedule: Schedule;
  readonly clock = new WatchedClock({ wall: Date.UTC(2026, 0, 1) });
  readonly vault: SimulatedVault;
  readonly witness: Witness;
  readonly connection: VaultConnection;
  readonly consumers: Consumers;
  readonly paths: string[];
  /** All TTLs so far of each path and of the login, in milliseconds. */
  readonly ttls = new Map<string, number[]>();
  /** All max TTLs so far, in the same way. */
  readonly maxTtls = new Map<string, number[]>();
  /** Moments at which an operator acted, a clock jumped or a fault began: each allows for some more requests. */
  readonly disturbances: number[] = [];
  /** Leases that an operator ended. */
  readonly ended = new Map<string, End>();
  lastTrouble = -Infinity;
  /** The last moment of a fault that affected more than the issue of new leases. */
  lastHindrance = -Infinity;
  /** Total milliseconds by which the wall clock was set back. */
  setBack = 0;
  readonly #troubles = new Map<() => void, { until: number; hinders: boolean }>();

  constructor(schedule: Schedule) {
    this.schedule = schedule;
    const { dialect, roles, login, revoke, grace, concurrency } = schedule;
    this.vault = new SimulatedVault({ clock: this.clock, dialect });
    this.paths = roles.map((_, number) => `database/creds/r${number}`);
    roles.forEach((ttls, number) => this.#setRole(number, ttls));
    const { roleId, secretId } = this.#setLogin(login);
    this.witness = new Witness(this.vault.transport(), this.clock);
    const options = resolveOptions({
      address: 'http://vault.test',
      auth: appRole({ roleId, secretId: secretId() }),
      concurrency,
      renewal: { grace },
      shutdown: { revoke, timeout: SHUTDOWN },
    });
    const bus = new EventBus();
    this.connection = new VaultConnection(options, bus, this.clock, this.witness);
    const invariants = new Invariants(this);
    bus.events$.subscribe((event) => {
      if (event.type === 'expired') this.consumers.guard(() => invariants.expired(event.path));
    });
    this.consumers = new Consumers(this.connection.leases, (snapshot, how) =>
      invariants.handedOut(snapshot, how),
    );
    this.clock.onRest = () => {
      for (const { hinders } of this.#troubles.values()) this.#troubled(hinders);
      invariants.look();
    };
  }

  /** Throws if an invariant does not hold. */
  async run(): Promise<void> {
    const { steps, healsBeforeClose } = this.schedule;
    await this.clock.until(this.connection.login());
    for (const step of steps) {
      await this.#do(step);
      // Delivers arrived answers before the next event.
      await this.clock.settle();
    }
    if (healsBeforeClose) await recover(this);
    await close(this, healsBeforeClose);
    countRequests(this);
  }

  /** Whether there has been no fault yet. */
  get calm(): boolean {
    return this.disturbances.length === 0;
  }

  /** Advances the time, and checks the invariants just before each deadline of a credential. */
  async pass(milliseconds: number): Promise<void> {
    const { clock, connection } = this;
    const end = clock.monotonic() + milliseconds;
    while (clock.monotonic() < end) {
      const healing = Math.min(...[...this.#troubles.values()].map(({ until }) => until)) - clock.elapsed;
      const ending = connection.leases.status().map(({ state, validUntil }) => {
        const left = (validUntil?.getTime() ?? Infinity) - clock.wall() - 1;
        return state !== 'expired' && left > 0 ? left : Infinity;
      });
      await clock.advance(Math.max(1, Math.min(end - clock.monotonic(), healing, ...ending)));
      for (const [heal, { until }] of this.#troubles) if (clock.elapsed >= until) this.#end(heal);
    }
  }

  heal(): void {
    for (const heal of this.#troubles.keys()) this.#end(heal);
  }

  async #do(step: Step): Promise<void> {
    const { clock, vault, witness, schedule, consumers } = this;
    switch (step.do) {
      case 'pass':
        return this.pass(step.for);
      case 'trouble': {
        const { trouble, which } = step;
        const hinders = which !== 'issue' || /seal|standby|database/.test(trouble.kind);
        this.#disturbed(hinders);
        this.#troubles.set(makeTrouble(this.vault, trouble, which), {
          until: clock.elapsed + step.for,
          hinders,
        });
        return;
      }
      case 'heal':
        return this.heal();
      case 'revoke-leases':
        return this.#operate(() => vault.revokeLease(this.#path(step.path)));
      case 'revoke-lease': {
        const lease = pick(vault.liveLeases, step.index);
        return this.#operate(() => lease && vault.revokeLease(lease.id));
      }
      case 'revoke-token': {
        const used = vault.history.findLast(({ token }) => token !== undefined && token > 1);
        return this.#operate(() => used && vault.revokeToken(used.token as number));
      }
      case 'lose-tokens':
        return this.#operate(() => vault.revokeAllTokens());
      case 'change-role':
        return this.#setRole(step.path % this.paths.length, step.ttls);
      case 'change-login':
        return void this.#setLogin(step.ttls);
      case 'step-wall': {
        this.#disturbed();
        const by = schedule.sleepy ? Math.abs(step.by) : step.by;
        this.setBack += Math.max(0, -by);
        return clock.stepWall(by);
      }
      case 'stall':
      case 'suspend':
        this.#disturbed();
        this.lastHindrance += step.for;
        // After a step back, the client cannot know that time passed while the monotonic clock stood still.
        await (schedule.sleepy && step.do === 'suspend' ? clock.suspend(step.for) : clock.stall(step.for));
        return this.#disturbed();
      case 'subscribe':
        return consumers.subscribe(this.#path(step.path), step.keepTrying);
      case 'unsubscribe':
        return pick(consumers.subscriptions, step.index)?.unsubscribe();
      case 'get':
        return consumers.get(this.#path(step.path));
      case 'hold':
        return consumers.hold(this.#path(step.path));
      case 'let-go':
        return consumers.letGo(step.index);
      case 'release':
        return clock.until(consumers.release(this.#path(step.path), witness.exchanges.length));
    }
  }

  #setRole(number: number, { ttl, maxTtl }: Ttls): void {
    this.vault.databaseRole(`r${number}`, { defaultTtl: ttl, maxTtl });
    this.#note(this.paths[number] as string, { ttl, maxTtl });
  }

  #setLogin({ ttl, maxTtl }: Ttls): AppRoleHandle {
    const { period, uses, type } = this.schedule.login;
    const others = { tokenPeriod: period, tokenNumUses: uses, tokenType: type };
    this.#note('login', { ttl, maxTtl });
    return this.vault.appRole('app', { tokenTtl: ttl, tokenMaxTtl: maxTtl, ...others });
  }

  #note(of: string, { ttl, maxTtl }: Ttls): void {
    this.ttls.set(of, [...(this.ttls.get(of) ?? []), ttl * SECOND]);
    this.maxTtls.set(of, [...(this.maxTtls.get(of) ?? []), maxTtl * SECOND]);
  }

  #end(heal: () => void): void {
    this.#troubled(this.#troubles.get(heal)?.hinders === true);
    this.#troubles.delete(heal);
    heal();
  }

  #troubled(hinders: boolean): void {
    this.lastTrouble = this.clock.elapsed;
    if (hinders) this.lastHindrance = this.clock.elapsed;
  }

  #operate(act: () => unknown): void {
    this.#disturbed();
    const before = this.vault.liveLeases;
    act();
    const after = new Set(this.vault.liveLeases.map(({ id }) => id));
    const end = {
      at: this.clock.elapsed,
      monotonic: this.clock.monotonic(),
      disturbances: this.disturbances.length,
    };
    for (const { id } of before) if (!after.has(id)) this.ended.set(id, end);
  }

  #disturbed(hinders = true): void {
    this.disturbances.push(this.clock.elapsed);
    if (hinders) this.lastHindrance = this.clock.elapsed;
  }

  #path(number: number): string {
    return this.paths[number % this.paths.length] as string;
  }
}

function pick<T>(from: readonly T[], index: number): T | undefined {
  return from[index % Math.max(1, from.length)];
}

/** Runs a schedule with seeded random numbers. */
export async function live(schedule: Schedule): Promise<void> {
  await withDice(schedule.seed, () => new Life(schedule).run());
}
