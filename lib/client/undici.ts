import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import type { Agent as AgentType, buildConnector as buildConnectorType } from 'undici';
import { ownFile } from '../errors/own-file.js';
import { importWhole, runFile } from './private-copy.js';

/** The version of undici that {@link fromFiles} was tested with. */
export const TESTED = '7.30.2';

/** A function that opens one socket. */
export type Connect = buildConnectorType.connector;

/** The two parts of undici that this package uses. */
interface Undici {
  Agent: typeof AgentType;
  buildConnector: typeof buildConnectorType;
}

/** For all connections, as the files are read once. */
let undici: Undici | undefined;

/**
 * Loads undici, before {@link createAgent} and {@link buildConnector} are called.
 *
 * @returns a promise only if it has to be imported
 */
export function loadUndici(): Promise<void> | undefined {
  undici ??= fromFiles(ownFile);
  if (undici) return undefined;
  const imported = importFiles().then((files) => void (undici = files));
  // The first request reports it.
  imported.catch(() => undefined);
  return imported;
}

/**
 * A copy of undici for this package alone, without HTTP/2, which no connection offers: a third of the time of an import.
 *
 * @param from a file of this package
 * @returns undefined if it cannot be had: in a bundle, or if another version is installed
 */
export function fromFiles(from: string | undefined): Undici | undefined {
  try {
    const require = createRequire(from as string);
    const manifest = require.resolve('undici/package.json');
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
    if (version !== TESTED) return undefined;
    const lib = join(dirname(manifest), 'lib');
    const modules = new Map([[join(lib, 'dispatcher', 'client-h2.js'), { exports: {} }]]);
    const load = (file: string): unknown => {
      const known = modules.get(file);
      if (known) return known.exports;
      const module = { exports: {} };
      modules.set(file, module);
      const ofFile = (name: string): unknown =>
        name.startsWith('.') ? load(withExtension(join(dirname(file), name))) : require(name);
      runFile(readFileSync(file, 'utf8'), file, ofFile, module);
      return module.exports;
    };
    return {
      Agent: load(join(lib, 'dispatcher', 'agent.js')),
      buildConnector: load(join(lib, 'core', 'connect.js')),
    } as Undici;
  } catch {
    return undefined;
  }
}

const withExtension = (file: string): string => (extname(file) === '' ? `${file}.js` : file);

/**
 * By file, because undici's index replaces the dispatcher of the process, which the application's own `fetch` uses. undici 7
 * lists no `exports`, so these files can be imported in both formats, and by bundlers.
 */
function importFiles(): Promise<Undici> {
  return importWhole('undici', async () => ({
    Agent: (await import(/* webpackMode: "eager" */ 'undici/lib/dispatcher/agent.js')).default,
    buildConnector: (await import(/* webpackMode: "eager" */ 'undici/lib/core/connect.js')).default,
  }));
}

// With an explicit type, as published declarations cannot name the file.
export const buildConnector: typeof buildConnectorType = (options) =>
  (undici as Undici).buildConnector(options);

/** Keep-alive connections. */
export function createAgent(
  { connections, maxResponseSize }: { connections: number; maxResponseSize: number },
  connect: Connect,
): AgentType {
  return new (undici as Undici).Agent({
    connections,
    maxResponseSize,
    keepAliveTimeout: 30_000,
    // The transport has one deadline for each exchange; undici's own timers would only duplicate it.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect,
  });
}
