import type { Agent as AgentType, buildConnector as buildConnectorType } from 'undici';
import connector from 'undici/lib/core/connect.js';
import Agent from 'undici/lib/dispatcher/agent.js';

// Imported by file, because undici's index replaces the dispatcher of the process, which the application's own `fetch`
// uses. undici 7 lists no `exports`, so these files can be imported in both formats, and by bundlers.
// With an explicit type, as published declarations cannot name the file.
export const buildConnector: typeof buildConnectorType = connector;

/** A function that opens one socket. */
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
    // The transport has one deadline for each exchange; undici's own timers would only duplicate it.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect,
  });
}
