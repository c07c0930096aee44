import {
  github,
  ldap,
  okta,
  radius,
  userpass,
  type AuthMethod,
  type PasswordOptions,
} from '../../../../lib/index.js';
import type { MethodUnderTest, Operator, Prepared } from '../method.js';

export const PASSWORD = 'canary-password';
const WRONG = 'canary-wrong-password';
const OTHERS_POLICY = 'another-policy';

const NOT_APPLICABLE = {
  expired: 'an expired password is answered as a wrong one',
  audience: 'a password has no audience',
} as const;
const NO_LOCK_OUT = 'the server does not lock out users of this method';

/** The parts that all methods with a password share. */
function prepared(
  { mount, simulated }: Operator,
  create: (options: PasswordOptions) => AuthMethod,
  refuseRenewals: () => Promise<void>,
): Prepared {
  const options = { username: 'bob', mountPath: mount };
  const bad = {
    code: 'VAULT_LOGIN_INPUT_INVALID',
    hint: /The password is read again at each login/,
  } as const;
  const directory = simulated?.directory;
  return {
    login: new RegExp(`^auth/${mount}/login/`),
    method: (password) => create({ ...options, password }),
    input: () => PASSWORD,
    bad: {
      input: { ...bad, input: WRONG },
      role: { ...bad, method: create({ ...options, username: 'ghost', password: WRONG }) },
    },
    wrongLogin: { path: `auth/${mount}/login/bob`, body: { password: WRONG } },
    refuseRenewals,
    ...(directory && {
      provider: {
        down: () => void (directory.down = true),
        up: () => void (directory.down = false),
        code: 'VAULT_BACKEND_FAILED',
        hint: /the server may connect to it/,
      },
    }),
  };
}

export const userpassUnderTest: MethodUnderTest = {
  name: 'userpass',
  type: 'userpass',
  servers: ['openbao', 'vault'],
  notApplicable: { ...NOT_APPLICABLE, down: 'the server asks no other system' },
  async prepare(operator) {
    const { api, mount, fields } = operator;
    const user = `auth/${mount}/users/bob`;
    await api('POST', user, { ...fields, password: PASSWORD });
    return prepared(operator, userpass, async () => {
      await api('POST', user, { token_policies: [...(fields['token_policies'] as string[]), OTHERS_POLICY] });
    });
  },
};

/** A method that asks the directory of the simulated server. */
function ofDirectory(
  type: string,
  create: (options: PasswordOptions) => AuthMethod,
  locksOut: boolean,
): MethodUnderTest {
  return {
    name: type,
    type,
    servers: ['vault'],
    real: false,
    notApplicable: { ...NOT_APPLICABLE, ...(!locksOut && { locked: NO_LOCK_OUT }) },
    async prepare(operator) {
      const { api, mount, fields, simulated } = operator;
      const config = `auth/${mount}/config`;
      await api('POST', config, fields);
      simulated?.directory.users.set('bob', { password: PASSWORD });
      return prepared(operator, create, async () => {
        await api('POST', config, {
          token_policies: [...(fields['token_policies'] as string[]), OTHERS_POLICY],
        });
      });
    },
  };
}

export const ldapUnderTest = ofDirectory('ldap', ldap, true);
export const radiusUnderTest = ofDirectory('radius', radius, false);
/** With the time limit of the other methods. */
export const oktaUnderTest = ofDirectory('okta', (options) => okta({ ...options, timeout: 4_000 }), false);

export const githubUnderTest: MethodUnderTest = {
  name: 'github',
  type: 'github',
  servers: ['vault'],
  real: false,
  notApplicable: {
    ...NOT_APPLICABLE,
    role: 'the token decides which user logs in',
    locked: NO_LOCK_OUT,
  },
  async prepare(operator) {
    const { api, mount, fields, simulated } = operator;
    const config = `auth/${mount}/config`;
    await api('POST', config, { ...fields, organization: 'acme' });
    simulated?.directory.users.set('bob', { password: PASSWORD, groups: ['acme'] });
    const shared = prepared(operator, okta, async () => {
      await api('POST', config, {
        token_policies: [...(fields['token_policies'] as string[]), OTHERS_POLICY],
      });
    });
    return {
      ...shared,
      login: new RegExp(`^auth/${mount}/login$`),
      method: (token) => github({ token, mountPath: mount }),
      bad: { input: { input: WRONG, code: 'VAULT_LOGIN_INPUT_INVALID', hint: /personal access token/ } },
    };
  },
};
