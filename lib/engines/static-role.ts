import type { Answer, Engine } from '../leases/engine.js';

/** Static roles of the database and LDAP engines: one user, whose password the server rotates. */
export const staticRole: Engine = {
  name: 'static-role',
  owns: ({ path, leaseId }) => leaseId === '' && STATIC_CREDENTIALS.test(path),
  life: ({ data: { ttl } }) => (typeof ttl === 'number' ? { rotatesIn: ttl * 1_000 } : {}),
  // The time left of the period differs at each read.
  comparable: (data) => ({ ...data, ttl: undefined }),
};

/** Databases and AWS write it in the plural, LDAP in the singular. */
const STATIC_CREDENTIALS = /\/static-creds?\/[^/]/;

/** Static roles of the AWS engine: the access key of an IAM user, which the server rotates. */
export const awsStaticKeys: Engine = {
  name: 'aws-static-keys',
  owns: (answer) => staticRole.owns(answer) && isOfAws(answer),
  life: ({ data: { expiration }, sentAt }) => {
    const at = typeof expiration === 'string' ? Date.parse(expiration) : NaN;
    return Number.isNaN(at) ? {} : { rotatesIn: Math.max(0, at - sentAt.wall) };
  },
  comparable: (data) => data,
};

function isOfAws({ mountType, data }: Answer): boolean {
  return mountType === undefined ? 'access_key' in data : mountType === 'aws';
}
