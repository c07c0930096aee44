import type { MethodUnderTest } from '../method.js';
import { appRoleUnderTest } from './app-role.js';
import { awsIamUnderTest } from './aws-iam.js';
import { azureUnderTest } from './azure.js';
import { gcpUnderTest } from './gcp.js';

/** Every auth method. */
export const METHODS: readonly MethodUnderTest[] = [
  appRoleUnderTest,
  awsIamUnderTest,
  azureUnderTest,
  gcpUnderTest,
];
