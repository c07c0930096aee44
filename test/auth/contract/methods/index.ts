import type { MethodUnderTest } from '../method.js';
import { appRoleUnderTest } from './app-role.js';
import { awsIamUnderTest } from './aws-iam.js';
import { azureUnderTest } from './azure.js';
import { gcpUnderTest } from './gcp.js';
import {
  githubUnderTest,
  ldapUnderTest,
  oktaUnderTest,
  radiusUnderTest,
  userpassUnderTest,
} from './passwords.js';
import { jwtUnderTest } from './jwt.js';
import { kubernetesUnderTest } from './kubernetes.js';
import { firstAvailableUnderTest, loginRequestUnderTest } from './of-others.js';
import { tokenUnderTest } from './token.js';
import { vaultAgentUnderTest } from './vault-agent.js';
import { tlsCertificateUnderTest } from './tls-certificate.js';

/** Every auth method. */
export const METHODS: readonly MethodUnderTest[] = [
  appRoleUnderTest,
  awsIamUnderTest,
  azureUnderTest,
  gcpUnderTest,
  userpassUnderTest,
  ldapUnderTest,
  radiusUnderTest,
  oktaUnderTest,
  githubUnderTest,
  tlsCertificateUnderTest,
  jwtUnderTest,
  kubernetesUnderTest,
  tokenUnderTest,
  vaultAgentUnderTest,
  loginRequestUnderTest,
  firstAvailableUnderTest,
];
