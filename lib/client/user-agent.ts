/** Of the package; a test holds it to package.json, as reading that at run time is more than bundlers can follow. */
export const VERSION = '0.1.0';

/** What servers, gateways and audit logs see of who asks. */
export const USER_AGENT = `nestjs-vault/${VERSION} node/${process.versions.node}`;
