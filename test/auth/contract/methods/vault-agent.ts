import { vaultAgent } from '../../../../lib/index.js';
import { simulatedAgent, type SimulatedAgent } from '../../../support/simulated-agent.js';
import type { MethodUnderTest } from '../method.js';
import { tokenMaker } from './token.js';

const NO_INPUT = 'it has no input';
const AGENT_REPLACES = 'the agent replaces its token, and the leases follow it: see vault-agent.spec.ts';

/** An agent that logs in by itself, and replaces its token before the end of that. */
export const vaultAgentUnderTest: MethodUnderTest = {
  name: 'vaultAgent',
  type: 'token',
  mounted: false,
  servers: ['openbao', 'vault'],
  // The proxy of OpenBao has tests of its own: agent.spec.ts.
  real: false,
  notApplicable: {
    read: NO_INPUT,
    input: `${NO_INPUT}: for an agent without a token see the rule on providers`,
    mended: NO_INPUT,
    expired: NO_INPUT,
    audience: NO_INPUT,
    role: NO_INPUT,
    missing: NO_INPUT,
    empty: NO_INPUT,
    slow: NO_INPUT,
    locked: 'the agent logs in, not this process',
    replaced: AGENT_REPLACES,
    lost: AGENT_REPLACES,
    batch: AGENT_REPLACES,
    refusal: 'no method stands behind the token that could refuse its renewal',
    replicas: 'it looks up the token of the agent, and logs in nowhere',
    closed: "the token is the agent's, and is not revoked: see vault-agent.spec.ts",
  },
  async prepare(operator) {
    const { make } = tokenMaker(operator);
    const agents = new Set<SimulatedAgent>();
    let token: string | undefined;
    let replaceAt = 0;
    /** The agent logs in. */
    const logIn = async () => {
      const auth = await make();
      token = auth.client_token;
      replaceAt = operator.now() + operator.lifetime * 600;
      for (const agent of agents) agent.token = token;
      return token;
    };
    await logIn();
    return {
      login: /^auth\/token\/lookup-self$/,
      looksUp: true,
      through(sender) {
        const agent = simulatedAgent(sender, token);
        agents.add(agent);
        return {
          async send(request) {
            if (token !== undefined && operator.now() > replaceAt) await logIn();
            return agent.send(request);
          },
          close: () => agent.close(),
        };
      },
      method: () => vaultAgent(),
      input: logIn,
      bad: {},
      provider: {
        down() {
          token = undefined;
          for (const agent of agents) agent.token = undefined;
        },
        up: async () => void (await logIn()),
        code: 'VAULT_LOGIN_PROVIDER_UNAVAILABLE',
        hint: /`address`.*`auto_auth`/,
      },
    };
  },
};
