import type { Deadline } from '../clock/deadline.js';
import type { Answer, EngineRules } from './engine.js';

/** Milliseconds after a due time within which the server rotates: it checks every 5 s, then contacts the database. */
const ROTATED_BY = 15_000;

/** Static roles of the database and LDAP engines: one user, whose password the server rotates. */
export const staticRole: EngineRules = {
  name: 'static-role',
  owns: ({ path, leaseId }) => leaseId === '' && STATIC_CREDENTIALS.test(path),
  life: ({ data, sentAt }) => {
    const { ttl, rotation_schedule: schedule } = data;
    if (typeof ttl !== 'number') return {};
    const rotatesIn = ttl * 1_000;
    return schedule && !isFresh(data, sentAt) ? { rotatesIn, confirmIn: ROTATED_BY } : { rotatesIn };
  },
  isComplete: (data) => isText(data['username']) && CREDENTIALS.some((name) => isText(data[name])),
  // `ttl` is the time until the next rotation, which differs at each read.
  comparable: (data) => ({ ...data, ttl: undefined }),
};

/** Depending on the type of the role, a user has a password, a key pair or a client certificate. */
const CREDENTIALS = ['password', 'rsa_private_key', 'private_key'];

/** The engines for databases and AWS use the plural, LDAP the singular. */
const STATIC_CREDENTIALS = /\/static-creds?\/[^/]/;

/**
 * Whether the server has just rotated. With a schedule, `ttl` counts to the next time as soon as one is due, although
 * the rotation may not have happened yet.
 */
function isFresh({ last_vault_rotation: rotated }: Answer['data'], sentAt: Deadline): boolean {
  const age = typeof rotated === 'string' ? sentAt.wall - Date.parse(rotated) : NaN;
  return age >= 0 && age < 2 * ROTATED_BY;
}

/** Static roles of the AWS engine: the access key of an IAM user. The server rotates it. */
export const awsStaticKeys: EngineRules = {
  name: 'aws-static-keys',
  owns: (answer) => staticRole.owns(answer) && isOfAws(answer),
  life: ({ data: { expiration }, sentAt }) => {
    const at = typeof expiration === 'string' ? Date.parse(expiration) : NaN;
    return Number.isNaN(at) ? {} : { rotatesIn: Math.max(0, at - sentAt.wall) };
  },
  isComplete: ({ access_key, secret_key }) => isText(access_key) && isText(secret_key),
  comparable: (data) => data,
};

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isOfAws({ mountType, data }: Answer): boolean {
  return mountType === undefined ? 'access_key' in data : mountType === 'aws';
}
