import { firstAvailable, fromEnv, loginRequest, token, type AuthMethod } from '../../../../lib/index.js';
import type { MethodUnderTest } from '../method.js';
import { kubernetesUnderTest } from './kubernetes.js';
import { PASSWORD, userpassUnderTest } from './passwords.js';

/** Chooses Kubernetes, because a variable of the method before it is not set. */
export const firstAvailableUnderTest: MethodUnderTest = {
  ...kubernetesUnderTest,
  name: 'firstAvailable',
  async prepare(operator) {
    const prepared = await kubernetesUnderTest.prepare(operator);
    const choosing = (method: AuthMethod) =>
      firstAvailable(token(fromEnv('NESTJS_VAULT_TEST_UNSET_TOKEN')), method);
    const bad = Object.entries(prepared.bad).map(([which, login]) => [
      which,
      { ...login, ...(login.method && { method: choosing(login.method) }) },
    ]);
    return {
      ...prepared,
      method: (source) => choosing(prepared.method(source)),
      bad: Object.fromEntries(bad),
    };
  },
};

/** Logs in as userpass does, without the knowledge of that method. */
export const loginRequestUnderTest: MethodUnderTest = {
  ...userpassUnderTest,
  name: 'loginRequest',
  async prepare(operator) {
    const prepared = await userpassUnderTest.prepare(operator);
    const path = (user: string) => `auth/${operator.mount}/login/${user}`;
    const refused = { code: 'VAULT_REQUEST_INVALID', hint: /Check the path and the parameters/ } as const;
    return {
      ...prepared,
      method: (password) => loginRequest({ path: path('bob'), body: { password } }),
      bad: {
        input: { ...refused, input: `${PASSWORD}-wrong` },
        role: {
          ...refused,
          method: loginRequest({ path: path('ghost'), body: { password: 'canary-wrong' } }),
        },
      },
      lockedOut: { code: 'VAULT_LOGIN_DENIED', hint: /locked the user or role out/ },
    };
  },
};
