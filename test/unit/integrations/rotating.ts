import { ReplaySubject, type Observable } from 'rxjs';
import { PoolEvents } from '../../../lib/integrations/rotation/pool-events.js';
import { Rotation } from '../../../lib/integrations/rotation/rotation.js';
import type { PoolEvent, RotationDriver } from '../../../lib/integrations/rotation/rotation-driver.js';
import { Secret } from '../../../lib/secret/secret.js';
import type { UserCredentials } from '../../../lib/leases/user-credentials.js';
import { issueByHand, type Issued } from '../../support/driver-load.js';

export type Rotating = ReturnType<typeof rotating>;

/**
 * A pool whose connections are texts, and whose logins the test decides.
 *
 * @param leased a stream of a connection, instead of credentials made by hand
 */
export function rotating(
  driver: Partial<RotationDriver<string>>,
  leased?: { credentials$: Observable<UserCredentials> },
) {
  const credentials$ = new ReplaySubject<UserCredentials>(1);
  const events: PoolEvent[] = [];
  const poolEvents = new PoolEvents('pg', (event) => events.push(event));
  const rotation = new Rotation<string>(
    leased?.credentials$ ?? credentials$,
    {
      verify: () => Promise.resolve(),
      isLoginRejected: () => false,
      end: () => undefined,
      ...driver,
    },
    { drain: leased ? 30_000 : 100, events: poolEvents, onEnd: () => undefined },
  );
  return { credentials$, events, poolEvents, rotation };
}

/** Another password of the same user, as of a static role. */
export function sameUserAgain({ credentials: { username } }: Issued): Issued {
  const next = issueByHand();
  return { ...next, credentials: { ...next.credentials, username: new Secret(username.reveal()) } };
}
