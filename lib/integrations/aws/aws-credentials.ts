import { firstValueFrom, Observable, race, type Subscription } from 'rxjs';
import { background } from '../../clock/background.js';
import { sleep, systemClock, type Clock } from '../../clock/clock.js';
import { VaultError } from '../../errors/vault-error.js';
import type { Credentials } from '../../leases/lease.js';
import { clockOf } from '../rotation/clock-of.js';

/**
 * The credentials type of the AWS SDK, its `AwsCredentialIdentity`.
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
 * Options of {@link rotatingAwsCredentials}.
 *
 * @publicApi
 */
export interface RotatingAwsCredentialsOptions {
  /**
   * Milliseconds until all of AWS accepts the keys of a new IAM user (`aws/creds/…` without a session token). Until then
   * the previous keys are used, or a request waits for the first ones. @default 10000
   */
  settle?: number;
}

/** Default of {@link RotatingAwsCredentialsOptions.settle}. */
const DEFAULT_SETTLE = 10_000;
/**
 * Milliseconds until the expiration that the SDK sees. It asks again if less than 5 minutes are left, so before each
 * request: keys may be replaced long before they expire.
 */
const REPORTED_TTL = 60_000;

/** Milliseconds that a signed request may take. */
const REQUEST_TIMEOUT = 20_000;

/** Milliseconds that a request waits for valid keys. */
const KEYS_TIMEOUT = 10_000;

/**
 * A credentials provider for the clients of the AWS SDK (version 3), for the paths `aws/creds/<role>` and
 * `aws/sts/<role>`. Each request is signed with the keys that are current then; reading them takes no I/O.
 *
 * @example new S3Client({ credentials: rotatingAwsCredentials(credentials.watch('aws/creds/reports')) })
 * @throws VaultError (when it is called) `VAULT_RESPONSE_INVALID` if the response of the path has no access key,
 * `VAULT_CREDENTIALS_EXPIRED` if there are no valid keys within 10 s, `VAULT_CLOSED` if the stream completed, and any
 * error of the stream
 * @publicApi
 */
export function rotatingAwsCredentials(
  credentials$: Observable<Credentials>,
  { settle = DEFAULT_SETTLE }: RotatingAwsCredentialsOptions = {},
): () => Promise<AwsIdentity> {
  let used: Credentials | undefined;
  const ensureHeld = holdUntilSettled(credentials$, settle, ({ data }) => {
    if (used?.data === data) used = undefined;
  });
  let clock: Clock = systemClock;
  const late$ = new Observable<never>((subscriber) =>
    clock.setTimer(KEYS_TIMEOUT, () => subscriber.error(expiredError()), true),
  );
  return async () => {
    // A new subscription each time, as a renewal changes `validUntil` without a new value of the stream.
    const current = await firstValueFrom(race(credentials$, late$), { defaultValue: undefined });
    if (!current) throw noKeysError();
    clock = clockOf(current);
    const { sessionToken } = toIdentity(current);
    ensureHeld();
    const unsettledFor = sessionToken === undefined ? settle - (clock.wall() - +current.lease.issuedAt) : 0;
    if (unsettledFor > 0 && used?.data !== current.data) {
      if (used && +used.lease.validUntil > clock.wall()) return toIdentity(used);
      await sleep(clock, unsettledFor);
    }
    used = current;
    return toIdentity(current);
  };
}

/**
 * Returns a function whose first call starts to hold leases: keys stay valid until the next ones have settled, and
 * requests that were signed with them are done.
 *
 * @param onReleased called with keys that must not be used any more
 */
function holdUntilSettled(
  credentials$: Observable<Credentials>,
  settle: number,
  onReleased: (keys: Credentials) => void,
): () => void {
  let following: Subscription | undefined;
  return () => {
    if (following && !following.closed) return;
    const holds = new Set<() => void>();
    let last: (() => void) | undefined;
    const observer = {
      next: (keys: Credentials) => {
        const drain = settle + REQUEST_TIMEOUT;
        if (last) clockOf(keys).setTimer(drain, last);
        last = undefined;
        // Temporary keys expire at AWS, whether the lease is held or not.
        if (!belongToUser(keys)) return;
        const releaseHold = keys.lease.hold({ drain, onEnding: () => onReleased(keys) });
        const release = () => {
          holds.delete(release);
          onReleased(keys);
          releaseHold();
        };
        holds.add(release);
        last = release;
      },
      // The next request for keys rejects with it.
      error: () => undefined,
    };
    // The subscription outlives the request that starts it.
    following = background(() => credentials$.subscribe(observer));
    following.add(() => holds.forEach((release) => release()));
  };
}

/**
 * Whether the keys belong to an IAM user and have to settle. Temporary keys, which have a session token, work at
 * once.
 */
function belongToUser({ data }: Credentials): boolean {
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
      message: `The response of ${lease.path} has no AWS access key.`,
      hint: 'Watch a path of an AWS secrets engine: aws/creds/<role> or aws/sts/<role>.',
      path: lease.path,
    });
  }
  const token = session_token ?? security_token;
  const left = +lease.validUntil - clockOf({ lease }).wall();
  return {
    accessKeyId: access_key,
    secretAccessKey: secret_key,
    ...(typeof token === 'string' && token !== '' && { sessionToken: token }),
    // The SDK compares it with the system time.
    expiration: new Date(systemClock.wall() + Math.min(left, REPORTED_TTL)),
  };
}

function noKeysError(): VaultError {
  return new VaultError({
    code: 'VAULT_CLOSED',
    message: 'The stream of credentials has completed: there are no keys to sign with.',
    hint: 'Do not use the client after the application has closed.',
  });
}

function expiredError(): VaultError {
  return new VaultError({
    code: 'VAULT_CREDENTIALS_EXPIRED',
    message: `There were no valid AWS keys within ${KEYS_TIMEOUT / 1_000} s.`,
    hint: 'The status of the path (CredentialsService.status$) has the reason.',
  });
}
