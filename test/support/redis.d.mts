import type { DatabaseRole, OpenBaoServer, Provisioned, ProvisionOptions } from './servers.mjs';

export interface RedisServer {
  readonly host: string;
  readonly port: number;
  readonly superuser: string;
  readonly password: string;
  readonly pid: number;
  readonly output: string;
  /** As the superuser, on a connection of its own. */
  command: (name: string, ...args: string[]) => Promise<unknown>;
  pause: () => Promise<void>;
  resume: () => Promise<void>;
  kill: () => Promise<void>;
  /** Kills the server, and starts it on the same port, without data and without users. */
  restart: () => Promise<void>;
  stop: () => Promise<void>;
}

export interface RedisProvisionOptions extends Omit<ProvisionOptions, 'roles'> {
  /** Default: one role `cache`, 3s and 6s, with all permissions. */
  roles?: DatabaseRole[];
  /** `rotationPeriod` as '5s'; makes the user. */
  staticRoles?: { name: string; username: string; rotationPeriod: string }[];
}

export function redisAvailable(): { ok: true } | { ok: false; reason: string };
export function startRedis(options?: { port?: number }): Promise<RedisServer>;
export function provisionRedis(
  bao: OpenBaoServer,
  redis: RedisServer,
  options?: RedisProvisionOptions,
): Promise<Provisioned>;
export function usersInRedis(redis: RedisServer): Promise<string[]>;
export function connectionsInRedis(redis: RedisServer): Promise<string[]>;
