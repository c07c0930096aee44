/** Version of the package; a test compares it with package.json, which bundlers could not resolve at run time. */
export const VERSION = '0.1.0';

/** The name of this client for servers, gateways and audit logs. */
export const USER_AGENT = `nestjs-vault/${VERSION} node/${process.versions.node}`;
