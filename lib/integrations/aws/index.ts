export {
  rotatingAwsCredentials,
  type RotatingAwsCredentialsOptions,
  type AwsIdentity,
} from './aws-credentials.js';
