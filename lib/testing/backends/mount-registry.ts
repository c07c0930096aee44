import { randomText } from '../server/ids.js';
import { Namespace, type Backend } from '../server/model.js';
import { Refusal } from '../server/refusal.js';
import type { Mounts, ServerContext } from '../server/server-context.js';
import { authMethod } from './auth-methods.js';
import { Cubbyhole } from './cubbyhole.js';
import { Database } from './database.js';
import { KvV1 } from './kv-v1.js';
import { KvV2 } from './kv-v2.js';
import { Sys } from './sys.js';
import { TokenAuth } from './token-auth.js';

/** Creates namespaces with their default mounts, and backends by the name of their type. */
export class MountRegistry implements Mounts {
  readonly #server: ServerContext;

  constructor(server: ServerContext) {
    this.#server = server;
  }

  addNamespace(path: string): Namespace {
    const namespace = new Namespace(path, randomText(6));
    this.#server.namespaces.set(path, namespace);
    this.mountDefaults(namespace);
    return namespace;
  }

  mountDefaults({ mounts }: Namespace): void {
    mounts.set('sys', new Sys(this.#server, this));
    mounts.set('auth/token', new TokenAuth(this.#server.tokens));
    mounts.set('cubbyhole', new Cubbyhole());
  }

  backend(type: string, version?: string): Backend {
    if (type === 'kv' || type === 'kv-v2') return this.#kv(type === 'kv-v2' ? '2' : version);
    if (type === 'generic') return new KvV1();
    if (type === 'database') return new Database(this.#server);
    throw new Refusal(400, `SimulatedVault has no engine of type "${type}"`);
  }

  #kv(version = '1'): Backend {
    if (version === '2') return new KvV2(this.#server);
    if (version === '1' || version === '') return new KvV1();
    throw new Refusal(400, 'nil backend of type "kv" returned from factory');
  }

  authMethod(type: string): Backend {
    return authMethod(type, this.#server);
  }
}
