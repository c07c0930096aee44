import { collected, list, notFound, Refusal, text, type Maybe, type Result, type Route } from './answers.js';
import type { Core } from './core.js';
import { keysBelow } from './keys.js';
import { newPassword, ROTATION, runSql } from './sql.js';
import { secondsField } from './ttl.js';

interface StaticRole {
  body: Record<string, unknown>;
  username: string;
  password: string;
  /** Seconds. */
  period: number;
  /** Milliseconds of the server. */
  rotatedAt: number;
  /** The next rotation; what ends here is the password. */
  expires: number;
  ended: boolean;
  queued: number;
  retry: () => void;
}

/** How often the server looks which roles are due. */
const TICK = 5_000;

/** The database users whose passwords the server rotates. */
export class StaticRoles {
  readonly routes: readonly Route[] = [
    [['read'], /^static-creds\/([^/]+)$/, (_, name = '') => this.#credentials(name)],
    [['update'], /^rotate-role\/([^/]+)$/, (_, name = '') => this.#rotateNow(name)],
    [['list'], /^static-roles\/?$/, () => ({ data: { keys: keysBelow(this.#roles.keys(), '') } })],
    [['read'], /^static-roles\/([^/]+)$/, (_, name = '') => this.#read(name)],
    [['update'], /^static-roles\/([^/]+)$/, ({ body }, name = '') => this.#write(name, body)],
    [['delete'], /^static-roles\/([^/]+)$/, (_, name = '') => this.#delete(name)],
  ];
  readonly #core: Core;
  readonly #roles = new Map<string, StaticRole>();

  constructor(core: Core) {
    this.#core = core;
  }

  has(name: string): boolean {
    return this.#roles.has(name);
  }

  #credentials(name: string): Result {
    const role = this.#roles.get(name);
    if (!role) throw new Refusal(400, `unknown role: ${name}`);
    const left = Math.floor((role.rotatedAt + role.period * 1000 - this.#core.now) / 1000);
    return {
      data: {
        last_vault_rotation: this.#core.date(role.rotatedAt),
        password: role.password,
        rotation_period: role.period,
        ttl: Math.max(0, left),
        username: role.username,
      },
    };
  }

  #read(name: string): Result {
    const role = this.#roles.get(name);
    if (!role) throw notFound();
    return {
      data: {
        credential_type: 'password',
        db_name: text(role.body['db_name']),
        last_vault_rotation: this.#core.date(role.rotatedAt),
        rotation_period: role.period,
        rotation_statements: list(role.body['rotation_statements']),
        ...(this.#core.vault && { skip_import_rotation: false }),
        username: role.username,
      },
    };
  }

  #write(name: string, body: Record<string, unknown>): Maybe<void> {
    const period = secondsField(body, 'rotation_period');
    const known = this.#roles.get(name);
    if (known) {
      known.body = { ...known.body, ...body };
      known.period = period || known.period;
      return this.#schedule(known);
    }
    const role: StaticRole = {
      body,
      username: text(body['username']),
      password: '',
      period,
      rotatedAt: 0,
      expires: Infinity,
      ended: false,
      queued: Infinity,
      retry: () => this.#rotateDue(role),
    };
    this.#roles.set(name, role);
    return this.#rotateNow(name);
  }

  #delete(name: string): void {
    const role = this.#roles.get(name);
    if (role) role.ended = true;
    this.#roles.delete(name);
  }

  #rotateNow(name: string): Maybe<void> {
    const role = this.#roles.get(name);
    if (!role) throw new Refusal(400, 'no static role found for role name');
    const rotating = this.#rotate(role, this.#core.now);
    return rotating?.catch((error: unknown) => {
      throw new Refusal(500, collected((error as Error).message));
    });
  }

  /** Where the database fails, the server tries again when it looks next. */
  #rotateDue(role: StaticRole): void {
    this.#rotate(role, role.expires)?.catch(() => {
      role.expires += TICK;
      this.#core.expireAt(role.expires, role);
    });
  }

  #rotate(role: StaticRole, at: number): Promise<void> | undefined {
    const own = list(role.body['rotation_statements']);
    const { username } = role;
    const password = newPassword();
    const done = () => {
      role.password = password;
      role.rotatedAt = at;
      this.#core.users.set(username, { password, expires: () => Infinity });
      this.#schedule(role);
    };
    const running = runSql(this.#core, own.length > 0 ? own : ROTATION, username, { password });
    if (!running) done();
    return running?.then(done);
  }

  /** A role that is due is rotated when the server looks next, so its TTL is 0 for a while. */
  #schedule(role: StaticRole): void {
    role.expires = Math.ceil((role.rotatedAt + role.period * 1000) / TICK) * TICK;
    this.#core.expireAt(role.expires, role);
  }
}
