import type { Agent as AgentType, buildConnector as buildConnectorType } from 'undici';
import connector from 'undici/lib/core/connect.js';
import Agent from 'undici/lib/dispatcher/agent.js';

// By its files, because undici's index replaces the dispatcher of the process, on which the application's own `fetch`
// runs. undici 7 lists no `exports`, so that these files can be imported in both formats, and by bundlers.
// With a type, as declarations that are published cannot name the file.
export const buildConnector: typeof buildConnectorType = connector;

/** Opens one socket. */
export type Connect = buildConnectorType.connector;

/** Keep-alive connections. */
export function createAgent(
  { connections, maxResponseSize }: { connections: number; maxResponseSize: number },
  connect: Connect,
): AgentType {
  return new Agent({
    connections,
    maxResponseSize,
    keepAliveTimeout: 30_000,
    // One exchange has one deadline, in the transport; undici's own per-phase timers would only duplicate it.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect,
  });
}
