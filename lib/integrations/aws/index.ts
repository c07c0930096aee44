export { awsCredentials, type AwsCredentialsOptions, type AwsIdentity } from './aws-credentials.js';
