import type { Agent as AgentType, buildConnector as buildConnectorType } from 'undici';
import buildConnector from 'undici/lib/core/connect.js';
import Agent from 'undici/lib/dispatcher/agent.js';

// By its files, because undici's index replaces the dispatcher of the process, on which the application's own `fetch`
// runs. undici 7 lists no `exports`, so that these files can be imported in both formats, and by bundlers.
export { buildConnector };

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
