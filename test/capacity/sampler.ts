import type { PostgresServer } from '../support/servers.mjs';

/** Milliseconds. */
const EVERY = 1_000;

interface Sample {
  at: number;
  /** Database users that the server has made. */
  users: number;
  /** Connections of the fleet. */
  connections: number;
}

/** Users and connections in some time: on average, and most. */
export interface Samples {
  users: { average: number; most: number };
  connections: { average: number; most: number };
}

/** Reads once a second how many users and connections there are. */
export class Sampler {
  readonly #postgres: PostgresServer;
  readonly #samples: Sample[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(postgres: PostgresServer) {
    this.#postgres = postgres;
  }

  start(): this {
    this.#timer = setInterval(() => void this.sample().catch(() => undefined), EVERY);
    return this;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async sample(): Promise<Sample> {
    const { rows } = await this.#postgres.query<{ users: string; connections: string }>(`
      select (select count(*) from pg_roles where rolname like 'v-%') as users,
        (select count(*) from pg_stat_activity where application_name = 'fleet') as connections`);
    const sample = {
      at: Date.now(),
      users: Number(rows[0]?.users),
      connections: Number(rows[0]?.connections),
    };
    this.#samples.push(sample);
    return sample;
  }

  between(from: number, to: number): Samples {
    const some = this.#samples.filter(({ at }) => at >= from && at < to);
    const of = (key: 'users' | 'connections') => ({
      average: some.reduce((sum, one) => sum + one[key], 0) / some.length,
      most: Math.max(...some.map((one) => one[key])),
    });
    return { users: of('users'), connections: of('connections') };
  }
}
