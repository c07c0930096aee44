import { ReplaySubject } from 'rxjs';
import { PoolEvents } from '../../../lib/integrations/rotation/pool-events.js';
import { Rotation } from '../../../lib/integrations/rotation/rotation.js';
import type { PoolEvent, RotationDriver } from '../../../lib/integrations/rotation/rotation-driver.js';
import { Secret } from '../../../lib/secret/secret.js';
import type { UserCredentials } from '../../../lib/leases/user-credentials.js';
import { issueByHand, type Issued } from '../../support/driver-load.js';

/** A pool whose connections are texts, and whose logins the test decides. */
export function rotating(driver: Partial<RotationDriver<string>>) {
  const credentials$ = new ReplaySubject<UserCredentials>(1);
  const events: PoolEvent[] = [];
  const poolEvents = new PoolEvents('test', (event) => events.push(event));
  const rotation = new Rotation<string>(
    credentials$,
    {
      verify: () => Promise.resolve(),
      isLoginRejected: () => false,
      onPublished: () => undefined,
      onSuperseded: () => undefined,
      end: () => undefined,
      ...driver,
    },
    { drain: 100, events: poolEvents, onEnd: () => undefined },
  );
  return { credentials$, events, poolEvents, rotation };
}

/** Another password of the same user, as of a static role. */
export function sameUserAgain({ credentials: { username } }: Issued): Issued {
  const next = issueByHand();
  return { ...next, credentials: { ...next.credentials, username: new Secret(username.reveal()) } };
}
