import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { SimulatedVault } from '../../../lib/testing/index.js';
import { signJwt } from '../../../lib/testing/server/jwt.js';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** Verifies the tokens of {@link cloudToken}. */
export const CLOUD_KEY = publicKey.export({ type: 'spki', format: 'pem' }) as string;

/** A token of a cloud that is valid for five minutes from `now`, in milliseconds; each is another one. */
export function cloudToken(now: number, claims: object): string {
  const iat = Math.floor(now / 1_000);
  return signJwt({ iat, nbf: iat, exp: iat + 300, jti: randomUUID(), ...claims }, privateKey);
}

const invalid = 'VAULT_LOGIN_INPUT_INVALID';

/** The bad inputs and the provider of a method that presents a token of a cloud. */
export function cloudTrouble(
  cloud: string,
  remedy: RegExp,
  token: (claims?: object) => string,
  now: number,
  simulated: SimulatedVault | undefined,
) {
  const past = Math.floor(now / 1_000) - 3_600;
  const down = (is: boolean) => () => void (simulated && (simulated.cloud.down = is));
  return {
    bad: {
      input: { code: invalid, hint: remedy, input: 'canary-not-a-jwt', logins: 0 },
      expired: {
        code: invalid,
        hint: /clock.*exp /,
        input: token({ iat: past, nbf: past, exp: past + 300 }),
        logins: 0,
      },
      skew: { code: invalid, hint: /correct the clock/ },
    },
    provider: {
      down: down(true),
      up: down(false),
      code: 'VAULT_BACKEND_FAILED',
      hint: new RegExp(`server to ${cloud}`),
    },
  } as const;
}
