import { expect, it } from 'vitest';
import { explainAwsRefusal } from '../../../lib/auth/aws-iam-refusals.js';
import { explainAzureRefusal, explainGcpRefusal } from '../../../lib/auth/cloud-refusals.js';

const refusal = (words: string) => ({
  status: 400,
  path: 'auth/x/login',
  namespace: '',
  said: (pattern: RegExp) => pattern.test(words),
});

it.each<[string, ReturnType<typeof explainAzureRefusal>, string]>([
  [
    'STS throttles',
    explainAwsRefusal,
    'error making upstream request: received error code 400 from STS: <Code>Throttling</Code><Message>Rate exceeded</Message>',
  ],
  ['STS fails', explainAwsRefusal, 'error making upstream request: received error code 503 from STS: '],
  [
    'Azure is not reached',
    explainAzureRefusal({}),
    'Get "https://management.azure.com/": dial tcp: lookup management.azure.com: i/o timeout; token expires',
  ],
  [
    'Google is not reached',
    explainGcpRefusal('app', {}),
    'Get "https://iam.googleapis.com/": dial tcp 1.2.3.4:443: connect: connection refused; JWT',
  ],
])('a login is not refused for its inputs where %s', (_what, explain, words) => {
  expect(explain(refusal(words) as never)?.code).toBe('VAULT_BACKEND_FAILED');
});
