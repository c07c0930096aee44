import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ownFile } from '../errors/own-file.js';
import { importWhole, runFile } from './private-copy.js';

/** SHA-256 of the file of node-vault 0.12.0 that {@link fromSource} was tested with. */
export const TESTED = 'e530146eaf315010392e4ed3d2dbbb20c25c263bdc67cc0b0ea22efa6d8bc4bc';

/** The part of node-vault that this package uses: it composes a request and gives it to the hook. */
export interface RequestLayer {
  request(options: object): Promise<unknown>;
}

type NodeVault = (config: object) => RequestLayer;

/**
 * What node-vault loads for requests that this package does not send with it: axios alone takes longer than all of this
 * package. {@link layerOf} gives node-vault other functions in their place, so these are never called.
 */
const UNUSED: Readonly<Record<string, unknown>> = {
  axios: {},
  https: {},
  debug: () => () => undefined,
  mustache: {},
  tv4: {},
  './commands.js': {},
};

/** For all connections, as the source is read once; false if it cannot be used. */
let own: NodeVault | false | undefined;

/**
 * node-vault's way of a request over a hook: without its commands, token, debug output and errors, which contain secrets.
 * At once, so that nothing is loaded after a connection was opened; a promise only if node-vault has to be imported.
 *
 * @param send the hook: sends one request, and its answer is what `request` returns
 */
export function requestLayer(
  send: (options: never) => Promise<unknown>,
): RequestLayer | Promise<RequestLayer> {
  own ??= fromSource(ownFile) ?? false;
  if (own) return layerOf(own, send);
  const imported = importNodeVault().then((nodeVault) => layerOf(nodeVault, send));
  // The first request reports it.
  imported.catch(() => undefined);
  return imported;
}

/**
 * A copy of node-vault for this package alone, that loads no other package. The application's own copy, its axios and
 * the caches of modules stay as they are.
 *
 * @param from a file of this package
 * @returns undefined if it cannot be had: in a bundle, or if the source is another than the tested one
 */
export function fromSource(from: string | undefined): NodeVault | undefined {
  try {
    const require = createRequire(from as string);
    const filename = require.resolve('node-vault');
    const source = readFileSync(filename, 'utf8');
    if (createHash('sha256').update(source).digest('hex') !== TESTED) return undefined;
    const module = { exports: {} as unknown };
    runFile(source, filename, (name) => (name in UNUSED ? UNUSED[name] : require(name)), module);
    return module.exports as NodeVault;
  } catch {
    return undefined;
  }
}

function importNodeVault(): Promise<NodeVault> {
  return importWhole('node-vault', async () => {
    const { default: nodeVault } = await import(/* webpackMode: "eager" */ 'node-vault');
    return nodeVault as unknown as NodeVault;
  });
}

/** The layer of one connection, over its hook. */
export function layerOf(nodeVault: NodeVault, send: (options: never) => Promise<unknown>): RequestLayer {
  const client = nodeVault({
    debug: () => undefined,
    commands: {},
    mustache: {},
    tv4: { validate: () => true },
    'request-promise': { defaults: () => send },
  });
  // Without these options, environment variables would decide.
  const ours = { endpoint: '', pathPrefix: '', token: undefined, namespace: undefined };
  return Object.assign(client, ours, { handleVaultResponse: (response: unknown) => response });
}
