/** Not installed: it has 50 packages, and takes its credentials as every other client of the SDK does. */
declare module '@aws-sdk/client-s3' {
  import type { STSClientConfig } from '@aws-sdk/client-sts';

  export class S3Client {
    constructor(config: Pick<STSClientConfig, 'region' | 'credentials'>);
  }
}
