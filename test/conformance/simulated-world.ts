import { appRole } from '../../lib/index.js';
import { SimulatedVault, VirtualClock } from '../../lib/testing/index.js';
import { live } from './life.js';
import type { Life, World, Worlds } from './world.js';

const STEP = 50;
const HOURS = 36_000_000;

/**
 * Simulated servers under virtual clocks: hours pass in milliseconds, with repeatable results.
 *
 * @param wall the date at the start: a fixed one makes schedules repeatable
 */
export function simulatedWorlds(
  dialect: 'openbao' | 'vault',
  wall = Date.UTC(2026, 0, 1),
): () => Promise<Worlds> {
  const open = () => Promise.resolve(simulatedWorld(dialect, wall));
  return () => Promise.resolve({ open, stop: () => Promise.resolve() });
}

function simulatedWorld(dialect: 'openbao' | 'vault', wall: number): World {
  const clock = new VirtualClock({ wall });
  const vault = new SimulatedVault({ clock, dialect });
  const lives = new Set<Life>();
  const name = 'app';
  const path = `database/creds/${name}`;
  const below = (pattern: RegExp) => (request: { path: string }) =>
    pattern.test(request.path.replace(/^\/v1\//, ''));

  let moving: Promise<void> | undefined;
  /** Advances the clock; concurrent callers wait for each other. */
  async function move(milliseconds: number): Promise<void> {
    if (moving) return moving;
    moving = clock.advance(milliseconds).finally(() => {
      moving = undefined;
    });
    return moving;
  }
  async function settled<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const end = () => {
      done = true;
    };
    work.then(end, end);
    for (await move(0); !done;) await move(STEP);
    return work;
  }

  return {
    name,
    path,
    advance: move,
    settled,
    async until(holds, limit) {
      for (const end = clock.monotonic() + limit; !holds(); await move(STEP)) {
        if (clock.monotonic() > end) throw new Error(`did not come true within ${limit} ms`);
      }
    },
    async start({ role, login = {}, options, watch = true, through = (sender) => sender }) {
      vault.databaseRole(name, { defaultTtl: role.ttl, maxTtl: role.maxTtl });
      const { roleId, secretId } = vault.appRole(name, {
        tokenTtl: login.ttl ?? 0,
        tokenMaxTtl: login.maxTtl ?? 0,
        tokenPeriod: login.period ?? 0,
        tokenExplicitMaxTtl: login.explicitMaxTtl ?? 0,
        tokenNumUses: login.uses ?? 0,
        tokenType: login.type ?? 'service',
      });
      const base = { address: 'http://vault.test', auth: appRole({ roleId, secretId: secretId() }) };
      const { cert } = options?.tls ?? {};
      const certificate = () => (typeof cert === 'string' ? cert : undefined);
      const environment = { clock, transport: through(vault.transport({ certificate })) };
      const life = await settled(live({ ...base, ...options }, watch ? path : undefined, environment));
      lives.add(life);
      return life;
    },
    requests: (pattern = /./) =>
      vault.requests(below(pattern)).map(({ method, path: full, body, at, status }) => ({
        method,
        path: full.replace(/^\/v1\//, ''),
        body: JSON.stringify(body),
        at,
        answered: typeof status === 'number',
      })),
    clear: () => vault.clearHistory(),
    isValid: ({ data }) => {
      const { username, password } = data.reveal();
      return Promise.resolve(vault.isValid(username, password));
    },
    operator: {
      revokeLeases: async () => void vault.revokeLease(path),
      revokeTokens: async () => vault.revokeAllTokens(),
      async api(method, apiPath, body, { token = 'root', wrapTtl } = {}) {
        const answer = await vault.transport().send({
          method,
          path: `/v1/${apiPath}`,
          headers: { 'x-vault-token': token, ...(wrapTtl && { 'x-vault-wrap-ttl': wrapTtl }) },
          ...(body !== undefined && { body: JSON.stringify(body) }),
          timeout: 10_000,
        });
        if (answer.statusCode >= 300) throw new Error(`${method} ${apiPath}: ${answer.statusCode}`);
        return answer.body === '' ? undefined : JSON.parse(answer.body);
      },
      async staticRole(rotationSeconds) {
        await settled(vault.staticRole('fixed', { username: 'fixed', rotationPeriod: rotationSeconds }));
        return 'database/static-creds/fixed';
      },
    },
    network: {
      answer: (pattern, status, body, headers) =>
        void vault.answer(status, body, { match: below(pattern) }, headers),
      loseAnswer: (pattern) => void vault.dropResponse({ times: 1, match: below(pattern) }),
      hang: (pattern) => void vault.delay(HOURS, { match: below(pattern) }, { before: true }),
      cut: (pattern = /./) => void vault.cut({ match: below(pattern) }),
      delay: (pattern, milliseconds) =>
        void vault.delay(milliseconds, { match: below(pattern) }, { before: true }),
      restore: () => vault.clearFaults(),
    },
    // All answers of this world are simulated, so there is nothing to mark.
    canned: false,
    async close() {
      vault.clearFaults();
      await settled(Promise.all([...lives].map(({ connection }) => connection.close())));
    },
    clock,
    vault,
  };
}
