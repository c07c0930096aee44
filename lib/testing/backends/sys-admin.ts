import type { Call, Result } from '../server/model.js';
import type { Mounts, ServerContext } from '../server/server-context.js';
import { secondsField } from '../server/ttl.js';
import { notFound, Refusal } from '../server/refusal.js';
import { text } from '../server/fields.js';
import type { Route } from '../server/route.js';

type Server = Pick<ServerContext, 'time' | 'tokens' | 'leases' | 'namespaces' | 'rateLimits' | 'vault'>;

/** Routes below `sys/` for operators: mounts, policies, namespaces, quotas. */
export function adminRoutes(server: Server, mounts: Mounts): Route[] {
  const { time, tokens, leases, rateLimits, vault } = server;
  const enterprise = () => new Refusal(404, 'enterprise-only feature');

  function mount({ body, namespace }: Call, kind: '' | 'auth/', path: string): void {
    const at = kind + path.replace(/\/$/, '');
    if (namespace.mounts.has(at))
      throw new Refusal(400, `path is already in use at ${path.replace(/\/$/, '')}/`);
    const { version } = (body['options'] ?? {}) as { version?: string };
    const type = text(body['type']);
    namespace.mounts.set(at, kind === 'auth/' ? mounts.authMethod(type) : mounts.backend(type, version));
  }

  function unmount({ namespace }: Call, at: string): void {
    namespace.mounts.delete(at);
    for (const lease of leases.below(`${at}/`)) if (lease.init.namespace === namespace) leases.end(lease);
    for (const token of tokens.all())
      if (token.init.namespace === namespace && token.init.path.startsWith(`${at}/`)) tokens.revoke(token);
  }

  /** Types and options alone; real servers add accessors, tunings and versions. */
  function listMounts({ namespace }: Call, auth: boolean): Result {
    const own = [...namespace.mounts].filter(([path]) => path.startsWith('auth/') === auth);
    const data = own.map(([path, { type, options = null }]) => [
      `${path.replace(/^auth\//, '')}/`,
      { type, options },
    ]);
    return { data: Object.fromEntries(data) as object, flat: true };
  }

  function policies({ namespace }: Call): Result {
    return {
      data: { keys: [...[...namespace.policies.keys()].sort(), ...(namespace.path ? [] : ['root'])] },
    };
  }

  function readPolicy({ namespace }: Call, name: string): Result {
    const found = namespace.policies.get(name);
    if (!found) throw notFound();
    const more = {
      allow_slashes_in_identity_templates: false,
      allow_wildcards_in_identity_templates: false,
      cas_required: false,
      modified: time.date(found.at),
      version: found.version,
    };
    return { data: { name, policy: found.source, ...(!vault && more) } };
  }

  function addNamespace({ namespace }: Call, name: string): Result {
    if (vault) throw enterprise();
    const path = `${namespace.path}${name.replace(/\/$/, '')}/`;
    return { data: describe(server.namespaces.get(path) ?? mounts.addNamespace(path)) };
  }

  const describe = ({ path, id }: { path: string; id: string }) => ({
    custom_metadata: {},
    id,
    locked: false,
    path,
    tainted: false,
    uuid: id,
  });

  function namespaces({ namespace }: Call): Result {
    if (vault) throw enterprise();
    const own = [...server.namespaces.values()].filter(
      ({ path }) => path !== namespace.path && path.startsWith(namespace.path),
    );
    if (own.length === 0) throw notFound();
    return {
      data: {
        key_info: Object.fromEntries(own.map((one) => [one.path, describe(one)])),
        keys: own.map(({ path }) => path),
      },
    };
  }

  function quota({ body }: Call, name: string): void {
    rateLimits.quotas.set(name, {
      rate: Number(body['rate']),
      interval: secondsField(body, 'interval') || 1,
      path: text(body['path']).replace(/\/$/, ''),
      retryAfter: body['retry_after'] === true,
    });
  }

  function readQuota(name: string): Result {
    const found = rateLimits.quotas.get(name);
    if (!found) throw notFound();
    return {
      data: { name, path: found.path ? `${found.path}/` : '', rate: found.rate, interval: found.interval },
    };
  }

  return [
    [['read'], /^mounts$/, (call) => listMounts(call, false)],
    [['read'], /^auth$/, (call) => listMounts(call, true)],
    [['update'], /^mounts\/(.+)$/, (call, path = '') => mount(call, '', path)],
    [['delete'], /^mounts\/(.+)$/, (call, path = '') => unmount(call, path)],
    [['update'], /^auth\/(.+)$/, (call, path = '') => mount(call, 'auth/', path)],
    [['delete'], /^auth\/(.+)$/, (call, path = '') => unmount(call, `auth/${path}`)],
    [['list', 'read'], /^polic(?:ies\/acl|y)\/?$/, policies],
    [['read'], /^polic(?:ies\/acl|y)\/([^/]+)$/, (call, name = '') => readPolicy(call, name)],
    [
      ['update'],
      /^polic(?:ies\/acl|y)\/([^/]+)$/,
      ({ body, namespace }, name = '') => namespace.setPolicy(name, text(body['policy']), time.now),
    ],
    [
      ['delete'],
      /^polic(?:ies\/acl|y)\/([^/]+)$/,
      ({ namespace }, name = '') => namespace.deletePolicy(name),
    ],
    [['list'], /^namespaces\/?$/, namespaces],
    [['update'], /^namespaces\/(.+)$/, (call, name = '') => addNamespace(call, name)],
    [['update'], /^quotas\/rate-limit\/(.+)$/, (call, name = '') => quota(call, name)],
    [['read'], /^quotas\/rate-limit\/(.+)$/, (_, name = '') => readQuota(name)],
    [['delete'], /^quotas\/rate-limit\/(.+)$/, (_, name = '') => void rateLimits.quotas.delete(name)],
  ];
}
