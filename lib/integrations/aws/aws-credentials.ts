import { setTimeout as sleep } from 'node:timers/promises';
import { firstValueFrom, throwError, timeout, type Observable, type Subscription } from 'rxjs';
import { background } from '../../clock/background.js';
import { VaultError } from '../../errors/vault-error.js';
import type { Credentials } from '../../leases/lease.js';

/**
 * What the SDK of AWS asks a credentials provider for; its `AwsCredentialIdentity`.
 *
 * @publicApi
 */
export interface AwsIdentity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration: Date;
}

/**
 * Options of {@link awsCredentials}.
 *
 * @publicApi
 */
export interface AwsCredentialsOptions {
  /**
   * Milliseconds until the keys of a new IAM user (`aws/creds/…` without a session token) are known to all of AWS: for
   * so long the ones before are used, or the first ones waited for. @default 10000
   */
  settle?: number;
}

/** Default of {@link AwsCredentialsOptions.settle}. */
const SETTLE = 10_000;
/**
 * Milliseconds that the SDK may believe an answer. It asks again once less than 5 minutes are left, so it asks before
 * each request: keys may be replaced long before they expire.
 */
const BELIEVED = 60_000;

/** Milliseconds that a request may take with the keys that it was signed with. */
const SIGNED = 20_000;

/** Milliseconds that a request waits for keys where there are none. */
const PATIENCE = 10_000;

/**
 * A credentials provider for the clients of the AWS SDK (version 3), for the paths `aws/creds/<role>` and
 * `aws/sts/<role>`. Each request is signed with the keys that are current then; asking for them costs no I/O.
 *
 * @example new S3Client({ credentials: awsCredentials(credentials.watch('aws/creds/reports')) })
 * @throws VaultError (when it is called) `VAULT_RESPONSE_INVALID` where the path answers something else, and whatever
 * the stream errors with; `VAULT_CREDENTIALS_EXPIRED` where there are no valid keys within 10 s
 * @publicApi
 */
export function awsCredentials(
  credentials$: Observable<Credentials>,
  { settle = SETTLE }: AwsCredentialsOptions = {},
): () => Promise<AwsIdentity> {
  let used: Credentials | undefined;
  const hold = holding(credentials$, settle, ({ data }) => {
    if (used?.data === data) used = undefined;
  });
  const first$ = credentials$.pipe(timeout({ first: PATIENCE, with: () => throwError(expired) }));
  return async () => {
    // Subscribed anew each time, as a renewal changes `validUntil` and nothing else.
    const current = await firstValueFrom(first$, { defaultValue: undefined });
    if (!current) throw none();
    const { sessionToken } = toIdentity(current);
    hold();
    const young = sessionToken === undefined ? settle - (Date.now() - +current.lease.issuedAt) : 0;
    if (young > 0 && used?.data !== current.data) {
      if (used && +used.lease.validUntil > Date.now()) return toIdentity(used);
      await sleep(young);
    }
    used = current;
    return toIdentity(current);
  };
}

/**
 * Sees to it, from the first call on, that keys are not ended before those after them have settled, and what was signed
 * with them is done.
 *
 * @param over told of those that may be used no longer
 */
function holding(
  credentials$: Observable<Credentials>,
  settle: number,
  over: (keys: Credentials) => void,
): () => void {
  let following: Subscription | undefined;
  return () => {
    if (following && !following.closed) return;
    const holds = new Set<() => void>();
    let last: (() => void) | undefined;
    const observer = {
      next: (keys: Credentials) => {
        const drain = settle + SIGNED;
        if (last) setTimeout(last, drain).unref();
        last = undefined;
        // Temporary keys are AWS's to end.
        if (!settles(keys)) return;
        const letGo = keys.lease.hold({ drain, onEnding: () => over(keys) });
        const release = () => {
          holds.delete(release);
          over(keys);
          letGo();
        };
        holds.add(release);
        last = release;
      },
      // Whoever asks for keys is told.
      error: () => undefined,
    };
    // For as long as there are keys, whichever request was the first to sign.
    following = background(() => credentials$.subscribe(observer));
    following.add(() => holds.forEach((release) => release()));
  };
}

/** Keys of an IAM user; temporary ones, which have a token, are known at once. */
function settles({ data }: Credentials): boolean {
  const { security_token, session_token } = (data.reveal() ?? {}) as Record<string, unknown>;
  return !(session_token ?? security_token);
}

function toIdentity({ data, lease }: Credentials): AwsIdentity {
  const { access_key, secret_key, security_token, session_token } = (data.reveal() ?? {}) as Record<
    string,
    unknown
  >;
  if (typeof access_key !== 'string' || typeof secret_key !== 'string') {
    throw new VaultError({
      code: 'VAULT_RESPONSE_INVALID',
      message: `What is issued at ${lease.path} is no access key of AWS.`,
      hint: 'Watch a path of an AWS secrets engine: aws/creds/<role> or aws/sts/<role>.',
      path: lease.path,
    });
  }
  const token = session_token ?? security_token;
  return {
    accessKeyId: access_key,
    secretAccessKey: secret_key,
    ...(typeof token === 'string' && token !== '' && { sessionToken: token }),
    expiration: new Date(Math.min(+lease.validUntil, Date.now() + BELIEVED)),
  };
}

function none(): VaultError {
  return new VaultError({
    code: 'VAULT_CLOSED',
    message: 'The stream of credentials has completed: there are none to sign with.',
    hint: 'Use the client while the application runs, and no longer than that.',
  });
}

function expired(): VaultError {
  return new VaultError({
    code: 'VAULT_CREDENTIALS_EXPIRED',
    message: `There were no valid keys of AWS within ${PATIENCE / 1_000} s.`,
    hint: 'The status of the path (CredentialsService.status$) tells why none can be issued.',
  });
}
